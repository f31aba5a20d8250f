"""The result of an ablation: its comparison, its grids, its layer groups or its two knobs."""

from dataclasses import dataclass

from mi_tui.analysis.ablation.comparison import Comparison, compare, find_reference
from mi_tui.analysis.ablation.grid import Grid, grids
from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.search.layer_groups import GroupResult, group_result
from mi_tui.analysis.search.two_knobs import KnobResult, knob_result
from mi_tui.analysis.search.uniform_front import all_asked
from mi_tui.plan.preset import Preset


@dataclass(frozen=True, slots=True)
class AblationResult:
    """An ablation read in several ways.

    ``groups`` is ``None`` without a λ per layer group, ``knobs`` without two knobs.
    ``confidence`` is that of keeping the budget's limit.
    """

    comparison: Comparison
    grids: tuple[Grid, ...]
    groups: GroupResult | None
    knobs: KnobResult | None = None
    confidence: float = 0.9


def ablation_result(
    observations: Observations,
    preset: Preset,
    latency: Latency | None = None,
    against: str | None = None,
) -> AblationResult:
    """What the rollouts of an ablation show.

    Args:
        observations: the study's rollouts.
        preset: the study's preset.
        latency: the speed of the merged model.
        against: the label of the row to compare with; by default the full interpolation, or the
            uniform answer that two knobs are held against.

    Raises:
        ComparisonError: no row has that label, or there are no rollouts.
    """
    knobs = None
    if preset.search.two_knobs and len(observations):
        knobs = knob_result(observations, preset, latency)
    reference = find_reference(observations, preset, against)
    if knobs is not None and against is None and all_asked(observations, [knobs.uniform]):
        reference = knobs.uniform
    found = compare(observations, reference, about=preset.budget.about)
    summaries = (found.reference, *(row.summary for row in found.rows))
    groups = group_result(observations, preset, latency) if preset.search.layer_groups else None
    shown = grids(summaries, found.reference.recipe)
    return AblationResult(found, shown, groups, knobs, preset.budget.confidence)
