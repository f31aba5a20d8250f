"""A preset made small: fewer problems and samples, for a first look."""

from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe

PROBLEMS = 32
SAMPLES = 2


def quick_preset(preset: Preset, problems: int = PROBLEMS, samples: int = SAMPLES) -> Preset:
    """The preset with at most so many problems in each probe and samples of each problem."""
    search = preset.search.model_copy(update={"samples": min(preset.search.samples, samples)})
    probes = tuple(_quick_probe(probe, problems, samples) for probe in preset.probes)
    return preset.model_copy(update={"probes": probes, "search": search})


def _quick_probe(probe: AnyProbe, problems: int, samples: int) -> AnyProbe:
    fewer = problems if probe.problems is None else min(probe.problems, problems)
    own = None if probe.samples is None else min(probe.samples, samples)
    return probe.model_copy(update={"problems": fewer, "samples": own})
