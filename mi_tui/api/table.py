"""The table of a study: one row for each recipe, every number with its interval."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mi_tui.analysis.results import Estimate, RecipeSummary
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe, labels
from mi_tui.present.columns import COLUMNS, ResultLine
from mi_tui.present.table import Shown
from mi_tui.text.notebook import html_table
from mi_tui.text.plurals import counted

_COLUMNS = tuple(column for column in COLUMNS if column.shown is Shown.ALWAYS)
_HEADS = tuple(column.title for column in _COLUMNS)
_ESTIMATES = ("score", "tokens", "think_ratio", "truncated", "seconds")


class TableError(MiTuiError, LookupError):
    """A row that a table does not have, or a form that it cannot be given in."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe and what it measured; each estimate has ``value``, ``low`` and ``high`` (95 %).

    ``n`` counts rollouts. ``score``, ``think_ratio`` (the share of responses that think) and
    ``truncated`` lie in [0, 1]; ``tokens`` and ``seconds`` are per response, ``seconds`` is
    ``None`` where no speed is known. ``censored`` warns that so many responses were cut that
    ``tokens`` is a lower bound. ``summary`` has every other measure.
    """

    recipe: Recipe
    label: str
    n: int
    problems: int
    score: Estimate
    tokens: Estimate
    think_ratio: Estimate
    truncated: Estimate
    seconds: Estimate | None
    censored: bool
    summary: RecipeSummary

    @property
    def lambda_(self) -> float | None:
        """The recipe's λ; ``None`` of a method that has none."""
        return self.recipe.lambda_

    def __repr__(self) -> str:
        return f"<Row {' · '.join(_cells(self))}>"


class Table:
    """The rows of a study in the order they were asked; does not change as the study goes on.

    ``table["MI-0.6"]`` is the row of a label; ``table[0.6]`` the row of a λ. A number is always a
    λ: the rows by their position are in ``table.rows``.

    Args:
        summaries: the measured rows.
        title: of the study.
    """

    def __init__(self, summaries: Sequence[RecipeSummary], title: str = "") -> None:
        names = labels([summary.recipe for summary in summaries])
        self.rows = tuple(map(_row, names, summaries))
        self.title = title

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str | float) -> Row:
        """The row of a label or a λ.

        Raises:
            TableError: no row has it, or several have this λ.
        """
        if isinstance(name, str):
            found = [row for row in self.rows if row.label == name]
        else:
            of_lambda = [row for row in self.rows if row.lambda_ == round(name, 6)]
            uniform = [row for row in of_lambda if row.recipe.is_uniform]
            found = uniform if len(uniform) == 1 else of_lambda
        if len(found) == 1:
            return found[0]
        names = ", ".join(row.label for row in found or self.rows) or "none yet"
        wanted = repr(name) if isinstance(name, str) else f"λ = {name:g}"
        several = f"several rows have {wanted}: name one by its label"
        raise TableError(f"{several if found else f'no row has {wanted}: there are'} {names}")

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``, indexed by label; each estimate as NAME, NAME_low, NAME_high.

        Raises:
            TableError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise TableError("to_pandas needs pandas: pip install pandas") from None
        return DataFrame([_flat(row) for row in self.rows]).set_index("label")

    def __str__(self) -> str:
        lines = [_HEADS, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        )

    def __repr__(self) -> str:
        return f"<Table of {counted(len(self.rows), 'row')}>"

    def _repr_html_(self) -> str:
        return html_table(_HEADS, map(_cells, self.rows), self.title)


def _row(label: str, summary: RecipeSummary) -> Row:
    return Row(
        recipe=summary.recipe,
        label=label,
        n=summary.rollouts,
        problems=summary.problems,
        score=summary.score,
        tokens=summary.tokens,
        think_ratio=summary.think_ratio,
        truncated=summary.truncated_interval,
        seconds=summary.seconds,
        censored=summary.tokens_censored,
        summary=summary,
    )


def _cells(row: Row) -> tuple[str, ...]:
    line = ResultLine(row.summary, row.label, row.label)
    return tuple(column.text(line) for column in _COLUMNS)


def _flat(row: Row) -> dict[str, object]:
    flat: dict[str, object] = {
        "label": row.label,
        "lambda": row.lambda_,
        "n": row.n,
        "problems": row.problems,
        "censored": row.censored,
    }
    for name in _ESTIMATES:
        estimate: Estimate | None = getattr(row, name)
        for end, of in (("", "value"), ("_low", "low"), ("_high", "high")):
            flat[name + end] = None if estimate is None else getattr(estimate, of)
    return flat
