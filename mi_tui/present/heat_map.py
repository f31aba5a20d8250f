"""Heat maps: a shade and a number in each cell, so that no colour is needed to read them."""

import math
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.ablation.grid import Grid
from mi_tui.analysis.results import RecipeSummary
from mi_tui.checkpoints.relative_gap import Gap
from mi_tui.plan.scope import ModuleKind
from mi_tui.present import numbers, signs

if TYPE_CHECKING:
    from mi_tui.analysis.search.knob_decision import KnobCell
    from mi_tui.analysis.search.two_knobs import KnobResult

_ON_LATTICE = 1e-6


def score_map(grid: Grid, accent: str = "") -> RenderableType:
    """Mean@k and Think #R in each cell; light is the lowest score, full the highest."""
    scores = [row.score.value for row in grid.cells.values()]
    low, high = min(scores), max(scores)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text(grid.row_axis), *(Text(column) for column in grid.columns))
    for name in grid.rows:
        cells = [
            _score_cell(grid, grid.cells.get((name, column)), accent) for column in grid.columns
        ]
        table.add_row(Text(name), *cells)
    span = f"{numbers.percent(low, 1)} light to {numbers.percent(high, 1)} full"
    return Group(Text(f"{grid.title}; Mean@k (Think #R), {span}"), table)


def score_share(grid: Grid, row: RecipeSummary) -> float:
    """Where a cell's score lies between the lowest of its grid, 0, and the highest, 1."""
    scores = [each.score.value for each in grid.cells.values()]
    low, high = min(scores), max(scores)
    return (row.score.value - low) / (high - low) if high > low else 0.0


def score_words(row: RecipeSummary) -> str:
    """What a cell of a score map says: ``80.0 % (73 %)``."""
    return f"{numbers.percent(row.score.value, 1)} ({numbers.percent(row.think_ratio.value)})"


def _score_cell(grid: Grid, row: RecipeSummary | None, accent: str) -> Text:
    if row is None:
        return Text("")
    return Text.assemble((signs.shade(score_share(grid, row)), accent), f" {score_words(row)}")


def knob_map(found: "KnobResult", confidence: float, accent: str = "") -> RenderableType:
    """The model's score over two knobs, in per cent: attention downwards, FFN to the right.

    Light is the lowest score of those that keep the limit with the confidence, full the highest;
    the others have a number and no shade. Signs mark the promising point and the uniform answer.
    """
    steps = sorted({cell.ffn for cell in found.cells if _is_step(cell.ffn)})
    cells = {(round(c.attention, 6), round(c.ffn, 6)): c for c in found.cells}
    kept = [cell.score for cell in found.cells if cell.probability >= confidence]
    low, high = min(kept, default=0.0), max(kept, default=0.0)
    promising = found.recipe.knobs if found.recipe else None
    marks = {_nearest(found.uniform.knobs): "=", _nearest(promising): "▸"}
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_row(Text("attention"), *(Text(f"{step:>4.1f}") for step in steps))
    for attention in steps:
        row = [cells.get((round(attention, 6), round(ffn, 6))) for ffn in steps]
        shown = [_knob_cell(cell, marks, (low, high), confidence, accent) for cell in row]
        table.add_row(Text(f"{attention:>9.1f}"), *shown)
    head = (
        "Score in % by the model, λ of attention down and λ of the FFN across; = uniform answer, "
        f"▸ promising; {numbers.percent(low)} light to {numbers.percent(high)} full"
    )
    if len(kept) < len(found.cells):
        head += "; no shade: over the limit, or not sure enough to keep it"
    return Group(Text(head), table)


def _is_step(value: float) -> bool:
    return abs(10 * value - round(10 * value)) < _ON_LATTICE


def _nearest(knobs: tuple[float, float] | None) -> tuple[float, float] | None:
    """The cell of the lattice that is nearest."""
    return knobs and (round(knobs[0], 1), round(knobs[1], 1))


def _knob_cell(
    cell: "KnobCell | None",
    marks: dict[tuple[float, float] | None, str],
    ends: tuple[float, float],
    confidence: float,
    accent: str,
) -> Text:
    if cell is None:
        return Text("")
    low, high = ends
    mark = marks.get((round(cell.attention, 1), round(cell.ffn, 1)), " ")
    shade = " "
    if cell.probability >= confidence:
        shade = signs.shade((cell.score - low) / (high - low) if high > low else 0.0)[0]
    return Text.assemble(mark, (shade, accent), f"{100 * cell.score:.0f}".rjust(2))


def sigma_map(gap: Gap, accent: str = "", dim: str = "") -> RenderableType:
    """The relative gap σ of a pair: of the whole, of each module kind, and of each layer.

    The shade runs from light to full at the largest cell; ``accent`` and ``dim`` are styles.
    """
    values = {(cell.layer, cell.kind): cell.sigma for cell in gap.cells}
    largest = max((v for v in values.values() if not math.isnan(v)), default=0.0)
    kinds = [kind for kind in ModuleKind if any(cell.kind is kind for cell in gap.cells)]
    inside = [k for k in kinds if any((layer, k) in values for layer in gap.by_layer)]
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row("", *(Text(_name(kind), dim) for kind in inside), Text("whole layer", dim))
    for layer, whole in gap.by_layer.items():
        cells = [_sigma_cell(values.get((layer, kind)), largest, accent) for kind in inside]
        table.add_row(Text(f"layer {layer:>2}", dim), *cells, _sigma_cell(whole, largest, accent))
    totals = Table.grid(padding=(0, 2, 0, 0))
    for kind in kinds:
        totals.add_row(
            Text(f"{_name(kind):<11}", dim), _sigma_cell(gap.by_kind.get(kind), largest, accent)
        )
    head = Text.assemble(("σ = ", "bold"), (numbers.sigma(gap.sigma), f"bold {accent}"), "\n")
    return Group(head, totals, Text(), table)


def _name(kind: ModuleKind) -> str:
    return "FFN" if kind is ModuleKind.FFN else str(kind)


def _sigma_cell(value: float | None, largest: float, accent: str) -> Text:
    if value is None:
        return Text("")
    if math.isnan(value):
        return Text(numbers.MISSING)
    if value == 0:
        return Text(f"·· {numbers.sigma(value)}")
    return Text.assemble((signs.shade(value / largest), accent), f" {numbers.sigma(value)}")
