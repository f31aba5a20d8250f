"""The picture of an ablation: the paired table, what it means, and the heat maps."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from mi_tui.present.comparison import comparison_table
from mi_tui.present.heat_map import knob_map, score_map

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult


def ablation_picture(result: "AblationResult", room: int, accent: str = "") -> RenderableType:
    """An ablation for ``room`` columns; ``accent`` is the style of the shades."""
    parts: list[RenderableType] = [
        comparison_table(result.comparison, room),
        Text(result.comparison.note),
    ]
    if result.groups is not None:
        parts.append(Text(result.groups.sentence))
    if result.knobs is not None:
        parts.append(Text(result.knobs.sentence))
    if result.knobs is not None and result.knobs.cells:
        parts += [Text(), knob_map(result.knobs, result.confidence, accent)]
    for grid in result.grids:
        parts += [Text(), score_map(grid, accent)]
    return Group(*parts)
