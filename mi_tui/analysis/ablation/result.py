"""The result of an ablation: its paired comparison, its grids, and its layer groups."""

from dataclasses import dataclass

from mi_tui.analysis.ablation.comparison import Comparison, compare, find_reference
from mi_tui.analysis.ablation.grid import Grid, grids
from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.search.layer_groups import GroupResult, group_result
from mi_tui.plan.preset import Preset


@dataclass(frozen=True, slots=True)
class AblationResult:
    """An ablation read in three ways; ``groups`` is ``None`` without a λ per layer group."""

    comparison: Comparison
    grids: tuple[Grid, ...]
    groups: GroupResult | None


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
        against: the label of the row to compare with; by default the full interpolation.

    Raises:
        ComparisonError: no row has that label, or there are no rollouts.
    """
    reference = find_reference(observations, preset, against)
    found = compare(observations, reference, about=preset.budget.about)
    summaries = (found.reference, *(row.summary for row in found.rows))
    groups = group_result(observations, preset, latency) if preset.search.layer_groups else None
    return AblationResult(found, grids(summaries, found.reference.recipe), groups)
