"""The paired table of an ablation: every row beside its differences from the reference."""

import math
from dataclasses import dataclass

from rich.table import Table

from mi_tui.analysis.ablation.comparison import ComparedRow, Comparison
from mi_tui.analysis.results import PairedDifference, RecipeSummary
from mi_tui.present import numbers
from mi_tui.present.table import Column, Shown, drawn


@dataclass(frozen=True, slots=True)
class PairedLine:
    """A line of the paired table; ``difference`` is ``None`` of the reference itself."""

    label: str
    row: RecipeSummary
    verdict: str
    difference: PairedDifference | None = None
    is_reference: bool = False

    @property
    def chosen(self) -> bool:
        """Whether the line stands out: that of the reference does."""
        return self.is_reference

    @property
    def points(self) -> float:
        """The difference of scores; 0 of the reference, not a number where none is known."""
        unknown = 0.0 if self.is_reference else math.nan
        return self.difference.score.value if self.difference else unknown

    @property
    def ratio(self) -> float:
        """The ratio of tokens; 1 of the reference, not a number where none is known."""
        unknown = 1.0 if self.is_reference else math.nan
        return self.difference.tokens_ratio.value if self.difference else unknown


def paired_lines(found: Comparison) -> list[PairedLine]:
    """The reference, the plain λ in order, then the other rows as they were asked."""
    reference = PairedLine(found.reference_label, found.reference, "reference", is_reference=True)
    others = [
        PairedLine(one.label, one.summary, one.verdict, one.difference)
        for one in sorted(found.rows, key=_by_scope)
    ]
    return [reference, *others]


def _by_scope(one: ComparedRow) -> tuple[bool, float]:
    recipe = one.summary.recipe
    return (not recipe.is_uniform, (recipe.lambda_ or 0.0) if recipe.is_uniform else 0.0)


COLUMNS: tuple[Column[PairedLine], ...] = (
    Column(
        id="recipe",
        title="Recipe",
        help="The row; the first is the reference.",
        text=lambda line: line.label,
        width=21,
        align="left",
    ),
    Column(
        id="score",
        title="Mean@k",
        help="The score of the row, with half its 95 % interval; ! where some are not scored.",
        text=lambda line: (
            f"{numbers.percent_interval(line.row.score)}{'!' * bool(line.row.not_scored)}"
        ),
        width=13,
        order=lambda line: line.row.score.value,
    ),
    Column(
        id="difference",
        title="Difference",
        help="Points of score more than the reference has, over the same problems.",
        text=lambda line: numbers.points(line.difference.score) if line.difference else "",
        width=13,
        order=lambda line: line.points,
    ),
    Column(
        id="verdict",
        title="Score is",
        help="Whether the score is shown to differ from the reference.",
        text=lambda line: line.verdict,
        width=9,
        order=lambda line: line.points,
        align="left",
    ),
    Column(
        id="tokens",
        title="Token #N",
        help="Tokens per response; ≥ where many responses were cut at the cap.",
        text=lambda line: "≥" * line.row.tokens_censored + numbers.count(line.row.tokens.value),
        width=8,
        order=lambda line: line.row.tokens.value,
        shown=Shown.WITH_ROOM,
    ),
    Column(
        id="ratio",
        title="Ratio",
        help="The tokens as a multiple of the reference's, over the same problems.",
        text=lambda line: (
            numbers.ratio(line.difference.tokens_ratio.value) if line.difference else ""
        ),
        width=6,
        order=lambda line: line.ratio,
    ),
    Column(
        id="think",
        title="Think #R",
        help="The share of responses that think.",
        text=lambda line: numbers.percent(line.row.think_ratio.value),
        width=8,
        order=lambda line: line.row.think_ratio.value,
        shown=Shown.WITH_ROOM,
    ),
)


def comparison_table(found: Comparison, room: int) -> Table:
    """The rows of an ablation with their paired differences from the reference."""
    lines = paired_lines(found)
    return drawn(COLUMNS, lines, room, lambda line: "=" if line.is_reference else "")
