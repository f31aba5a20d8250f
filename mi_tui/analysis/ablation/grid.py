"""The grid of an ablation over two axes: temperature by top-p, layers by modules."""

from dataclasses import dataclass

from mi_tui.analysis.results import RecipeSummary
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import ALL_MODULES, Scope

_FEWEST_CELLS = 3


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows by columns; a cell that was not measured is missing.

    ``cells`` is keyed by (row, column), both as texts of ``rows`` and ``columns``.
    """

    title: str
    row_axis: str
    column_axis: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], RecipeSummary]


def grids(rows: tuple[RecipeSummary, ...], reference: Recipe) -> tuple[Grid, ...]:
    """The grids that a table has: none where fewer than three rows share one.

    Args:
        rows: the table, the reference among its rows.
        reference: the full interpolation; a grid's cells differ from it in two ways at most.
    """
    found = (_decoding(rows, reference), _scope(rows, reference))
    return tuple(_upright(grid) for grid in found if len(grid.cells) >= _FEWEST_CELLS)


def _upright(grid: Grid) -> Grid:
    """A grid of a single row turned into one of a single column, which fits any terminal."""
    if len(grid.rows) > 1:
        return grid
    return Grid(
        grid.title,
        grid.column_axis,
        grid.row_axis,
        grid.columns,
        grid.rows,
        {(column, row): cell for (row, column), cell in grid.cells.items()},
    )


def _decoding(rows: tuple[RecipeSummary, ...], reference: Recipe) -> Grid:
    usual = Decoding()
    weights = reference.model_copy(update={"decoding": usual})
    mine = [
        row
        for row in rows
        if row.recipe.model_copy(update={"decoding": usual}) == weights
        and row.recipe.decoding.top_k == reference.decoding.top_k
    ]
    mine.sort(key=lambda row: (row.recipe.decoding.temperature, row.recipe.decoding.top_p))
    cells = {
        (f"T {row.recipe.decoding.temperature:g}", f"{row.recipe.decoding.top_p:g}"): row
        for row in mine
    }
    columns = sorted({column for _, column in cells}, key=float)
    name = f"{reference.label}: temperature by top-p"
    return Grid(name, "temperature", "top-p", _axis(cells, 0), tuple(columns), cells)


def _scope(rows: tuple[RecipeSummary, ...], reference: Recipe) -> Grid:
    whole = reference.model_copy(update={"scope": Scope()})
    mine = [row for row in rows if row.recipe.model_copy(update={"scope": Scope()}) == whole]
    # The whole model comes first, then parts from the first layer on.
    mine.sort(key=lambda row: [(part.first, part.last) for part in row.recipe.scope.layers])
    cells = {(_layers(row.recipe.scope), _modules(row.recipe.scope)): row for row in mine}
    columns = sorted({column for _, column in cells}, key=lambda name: (name != "all", name))
    name = f"λ = {reference.lambda_ or 0:g}: layers by modules"
    return Grid(name, "layers", "modules", _axis(cells, 0), tuple(columns), cells)


def _axis(cells: dict[tuple[str, str], RecipeSummary], place: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key[place] for key in cells))


def _layers(scope: Scope) -> str:
    text = str(scope.model_copy(update={"modules": ALL_MODULES, "outside": "instruct"}))
    return text.removeprefix("layers ") if scope.layers else "all"


def _modules(scope: Scope) -> str:
    inner = scope.model_copy(update={"layers": (), "outside": "instruct"})
    return "all" if inner.modules == ALL_MODULES else str(inner)
