"""The columns of the results table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mi_tui.analysis.results import Estimate, RecipeSummary
from mi_tui.present import numbers


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, its width, what a cell says, and what sorting looks at."""

    key: str
    title: str
    width: int
    cell: Callable[[RecipeSummary], str]
    order: Callable[[RecipeSummary], float]
    align: Literal["left", "right"] = "right"


def order_of(value: float | None) -> float:
    """What sorting takes for a value; a missing one stands below all."""
    return -1.0 if value is None else value


def _share_column(
    key: str, title: str, share: Callable[[RecipeSummary], Estimate | None]
) -> Column:
    """A column of shares that only several samples of a problem define."""

    def value(row: RecipeSummary) -> float | None:
        estimate = share(row)
        return None if estimate is None else estimate.value

    return Column(key, title, 7, lambda r: numbers.percent(value(r)), lambda r: order_of(value(r)))


COLUMNS = (
    Column(
        "lambda",
        "Recipe",
        13,
        lambda r: r.recipe.label,
        lambda r: order_of(r.recipe.lambda_),
        "left",
    ),
    Column("stage", "Stage", 5, lambda r: numbers.stage_sign(r.stage), lambda r: order_of(r.stage)),
    Column(
        "rollouts",
        "n",
        5,
        lambda r: numbers.count(r.rollouts) + "…" * r.preliminary,
        lambda r: r.rollouts,
    ),
    Column(
        "score",
        "Mean@k %",
        11,
        numbers.share,
        lambda r: r.score.value,
    ),
    Column(
        "think",
        "Think #R",
        8,
        lambda r: numbers.percent(r.think_ratio.value),
        lambda r: r.think_ratio.value,
    ),
    Column(
        "tokens",
        "Token #N",
        12,
        numbers.length,
        lambda r: r.tokens.value,
    ),
    Column("truncated", "Trunc.", 6, lambda r: numbers.percent(r.truncated), lambda r: r.truncated),
    Column(
        "seconds",
        "Latency",
        8,
        lambda r: numbers.seconds(r.seconds.value if r.seconds else None),
        lambda r: order_of(r.seconds.value if r.seconds else None),
    ),
)

MORE_COLUMNS = (
    Column("p95", "p95 #N", 7, lambda r: numbers.count(r.tokens_p95), lambda r: r.tokens_p95),
    _share_column("pass", "Pass@k", lambda r: r.pass_at_k),
    _share_column("vote", "Vote@k", lambda r: r.vote_at_k),
    _share_column("ties", "Ties", lambda r: r.vote_ties),
    _share_column("no-answer", "No vote", lambda r: r.vote_no_answer),
)
"""Shown where there is room."""


def with_decoding(row: RecipeSummary) -> str:
    """The label with temperature and top-p: ``MI-0.62 .6/.95``."""
    return f"{row.recipe.label} {numbers.decoding(row.recipe.decoding)}"


def aligned(text: str, column: Column) -> str:
    """A cell's text, cut or filled to its column's width."""
    shown = numbers.cut(text, column.width)
    return shown.ljust(column.width) if column.align == "left" else shown.rjust(column.width)
