"""Heat maps on a terminal: shade and number in each cell, so that no colour is needed."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.ablation.grid import Grid
from mi_tui.analysis.results import RecipeSummary
from mi_tui.checkpoints.relative_gap import Gap
from mi_tui.plan.scope import ModuleKind

_SHADES = " ░▒▓█"


def score_map(grid: Grid) -> RenderableType:
    """Mean@k in percent and Think #R in each cell; light is the lowest score, full the highest."""
    scores = [row.score.value for row in grid.cells.values()]
    low, high = min(scores), max(scores)
    table = Table(box=None, pad_edge=False)
    table.add_column(grid.row_axis, no_wrap=True)
    for column in grid.columns:
        table.add_column(column)
    for name in grid.rows:
        cells = [_score_cell(grid.cells.get((name, column)), low, high) for column in grid.columns]
        table.add_row(Text(name), *cells)
    caption = f"{grid.title}; Mean@k % (Think #R), {100 * low:.1f} light to {100 * high:.1f} full"
    return Group(Text(caption), table)


def _score_cell(row: RecipeSummary | None, low: float, high: float) -> Text:
    if row is None:
        return Text("")
    share = (row.score.value - low) / (high - low) if high > low else 0.0
    shade = _SHADES[1 + round((len(_SHADES) - 2) * share)]
    return Text(f"{shade * 2} {100 * row.score.value:.1f} ({row.think_ratio.value:.2f})")


def heat_map(gap: Gap) -> RenderableType:
    """The relative gap σ of a pair: one row per layer (and one for what is in no layer).

    Darker is where the two differ more: the shade runs from nothing at σ = 0 to full at the
    largest cell; the number stands beside it.
    """
    values = {(cell.layer, cell.kind): cell.sigma for cell in gap.cells}
    largest = max((v for v in values.values() if not math.isnan(v)), default=0.0)
    kinds = [kind for kind in ModuleKind if any(cell.kind is kind for cell in gap.cells)]
    layers = sorted({cell.layer for cell in gap.cells if cell.layer is not None})
    table = Table(box=None, pad_edge=False)
    table.add_column("layer", justify="right")
    for kind in kinds:
        table.add_column(str(kind))
    for layer in (*layers, None):
        name = "none" if layer is None else str(layer)
        cells = [_cell(values.get((layer, kind)), largest) for kind in kinds]
        table.add_row(name, *cells)
    return Group(Text(f"σ = {gap.sigma:.4f}: the relative gap Σ|A − B| / (Σ|A| + Σ|B|)"), table)


def _cell(value: float | None, largest: float) -> Text:
    if value is None:
        return Text("")
    if math.isnan(value):
        return Text("–")
    shade = _SHADES[round((len(_SHADES) - 1) * value / largest)] if largest else _SHADES[0]
    return Text(f"{shade * 2} {value:.4f}")
