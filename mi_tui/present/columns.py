"""The columns of the results table, declared once for CLI, app, CSV and HTML.

A new column is one more :class:`Column` in :data:`COLUMNS`; see docs/extending.md.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mi_tui.analysis.results import Estimate, RecipeSummary, Recommendation
from mi_tui.plan.recipe import labels
from mi_tui.present import numbers, signs
from mi_tui.present.table import Column, Field, Fitted, Section, Shown, fit, interval


@dataclass(frozen=True, slots=True)
class ResultLine:
    """A line of the results table: a recipe's measures, and how the table names the recipe.

    ``label`` has the decoding where that is not the most usual one of the table; ``brief`` is
    the same for a narrow column, which may cut it: what differs between rows of one λ comes
    first. ``chosen`` marks the recommended recipe; one without rollouts is read off the curve.
    """

    row: RecipeSummary
    label: str
    brief: str
    chosen: bool = False

    @property
    def sign(self) -> str:
        """The sign before the line; empty where it needs none."""
        if self.chosen:
            return signs.RECOMMENDED
        return "" if self.row.recipe.thinking_cap is None else signs.CAPPED


def result_lines(rows: Sequence[RecipeSummary], chosen: str | None = None) -> list[ResultLine]:
    """The lines of a table: λ rising, then what has not one λ for the whole model.

    Args:
        rows: the measures of each recipe.
        chosen: the key of the recommended recipe.
    """
    several = len({row.recipe.decoding for row in rows}) > 1
    named = zip(rows, labels([row.recipe for row in rows]), strict=True)
    lines = [
        ResultLine(row, label, _brief(row, several), row.recipe.key == chosen)
        for row, label in named
    ]
    return sorted(lines, key=_natural)


def _natural(line: ResultLine) -> tuple[bool, float, str]:
    recipe = line.row.recipe
    return (not recipe.is_uniform, recipe.lambda_ or 0.0, line.label)


def _brief(row: RecipeSummary, several: bool) -> str:
    """The label, what is not the whole model's λ first: ``layers 12-23 · MI-0.62``.

    With temperature and top-p where there are several decodings: ``MI-0.62 .6/.95``.
    """
    head, *parts = row.recipe.label.split(" · ")
    decoding = f" {numbers.decoding(row.recipe.decoding)}" if several else ""
    return " · ".join([*parts, head]) + decoding


def with_recommended(
    rows: Sequence[RecipeSummary], answer: Recommendation | None
) -> tuple[RecipeSummary, ...]:
    """The rows, with one for the recommended recipe where none of its rollouts are there.

    The numbers of such a row are the curve's, and it has no rollouts.
    """
    if (
        answer is None
        or not answer.recommended
        or not rows
        or any(row.recipe == answer.recipe for row in rows)
    ):
        return tuple(rows)
    unknown = Estimate(value=math.nan, low=math.nan, high=math.nan)
    projected = RecipeSummary(
        recipe=answer.recipe,
        rollouts=0,
        problems=0,
        samples=0,
        score=answer.score,
        think_ratio=answer.think_ratio,
        tokens=answer.tokens,
        tokens_p50=math.nan,
        tokens_p50_interval=unknown,
        tokens_p95=math.nan,
        tokens_p95_interval=unknown,
        truncated=math.nan,
        truncated_interval=unknown,
        seconds=answer.seconds,
        stage=answer.stage,
    )
    return (*rows, projected)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _order(value: float | None) -> float:
    """What sorting takes for a value; a missing one stands below all."""
    return -1.0 if value is None else value


def _rollouts(line: ResultLine) -> str:
    if not line.row.rollouts:
        return "curve"
    return numbers.count(line.row.rollouts) + "…" * line.row.preliminary


def _score(line: ResultLine) -> str:
    if line.row.preliminary:
        return f"{100 * line.row.score.value:.0f} ± ? %{_doubt(line)}"
    return f"{numbers.percent_interval(line.row.score)}{_doubt(line)}"


def _spoken_score(line: ResultLine) -> str:
    missing = f", {line.row.not_scored} not scored" if line.row.not_scored else ""
    return f"{_score(line).removesuffix('!')}{missing}"


def _doubt(line: ResultLine) -> str:
    return "!" if line.row.not_scored else ""


def _tokens(line: ResultLine) -> str:
    if line.row.preliminary:
        return f"≥{numbers.count(line.row.tokens.value)} ± ?"
    return numbers.tokens(line.row.tokens, line.row.tokens_censored)


def _share(
    id: str,
    title: str,
    help: str,
    estimate: Callable[[RecipeSummary], Estimate | None],
    field: str,
) -> Column[ResultLine]:
    """A share that only several samples of a problem define."""
    return Column(
        id=id,
        title=title,
        help=help,
        text=lambda line: numbers.percent_interval(estimate(line.row)),
        width=12,
        brief=lambda line: numbers.percent(_value(estimate(line.row))),
        brief_width=7,
        order=lambda line: _order(_value(estimate(line.row))),
        fields=interval(field, lambda line: estimate(line.row)),
        shown=Shown.WITH_ROOM,
        section=Section.SAMPLES,
    )


COLUMNS: tuple[Column[ResultLine], ...] = (
    Column(
        id="recipe",
        title="Recipe",
        help="The merged model: its λ, or the method of a baseline.",
        text=lambda line: line.label,
        width=13,
        brief=lambda line: line.brief,
        order=lambda line: _order(line.row.recipe.lambda_),
        fields=(
            Field("recipe", lambda line: line.label),
            Field("lambda", lambda line: line.row.recipe.lambda_),
        ),
        align="left",
    ),
    Column(
        id="stage",
        title="Stage",
        help="1: hardly any response thinks; 2: some do; 3: all do.",
        text=lambda line: signs.stage(line.row.stage),
        width=5,
        spoken=lambda line: str(line.row.stage or numbers.MISSING),
        order=lambda line: _order(line.row.stage),
        fields=(Field("stage", lambda line: line.row.stage),),
    ),
    Column(
        id="rollouts",
        title="Rollouts",
        short="n",
        help="Sampled responses; … while no round is complete, 'curve' where none was asked for.",
        text=_rollouts,
        width=6,
        brief_width=5,
        order=lambda line: line.row.rollouts,
        fields=(Field("rollouts", lambda line: line.row.rollouts),),
    ),
    Column(
        id="score",
        title="Mean@k",
        help="The share of right answers, with half its 95 % interval; ! where some have no score.",
        text=_score,
        width=12,
        spoken=_spoken_score,
        order=lambda line: line.row.score.value,
        fields=interval("score", lambda line: line.row.score),
    ),
    Column(
        id="think",
        title="Think #R",
        help="The share of responses that think (that close </think>).",
        text=lambda line: numbers.percent_interval(line.row.think_ratio),
        width=12,
        brief=lambda line: numbers.percent(line.row.think_ratio.value),
        brief_width=8,
        order=lambda line: line.row.think_ratio.value,
        fields=interval("think_ratio", lambda line: line.row.think_ratio),
    ),
    Column(
        id="tokens",
        title="Token #N",
        help="Tokens per response; ≥ where many responses were cut at the cap.",
        text=_tokens,
        width=14,
        brief_width=13,
        order=lambda line: line.row.tokens.value,
        fields=(
            *interval("tokens", lambda line: line.row.tokens),
            Field("tokens_censored", lambda line: line.row.tokens_censored),
        ),
    ),
    Column(
        id="truncated",
        title="Truncated",
        short="Trunc.",
        help="The share of responses cut at the token cap; they count as wrong.",
        text=lambda line: numbers.percent_interval(line.row.truncated_interval),
        width=12,
        brief=lambda line: numbers.percent(line.row.truncated),
        brief_width=6,
        order=lambda line: line.row.truncated,
        fields=interval("truncated", lambda line: line.row.truncated_interval),
    ),
    Column(
        id="latency",
        title="Latency",
        help="Seconds per response, projected for the merged model alone.",
        text=lambda line: numbers.seconds_interval(line.row.seconds),
        width=14,
        brief=lambda line: numbers.seconds(_value(line.row.seconds)),
        brief_width=7,
        order=lambda line: _order(_value(line.row.seconds)),
        fields=interval("seconds", lambda line: line.row.seconds),
    ),
    Column(
        id="not_scored",
        title="Not scored",
        short="N. s.",
        help="The responses that a scorer gave no judgement of; no measure counts them.",
        text=lambda line: numbers.count(line.row.not_scored),
        width=10,
        brief_width=5,
        order=lambda line: line.row.not_scored,
        fields=(Field("not_scored", lambda line: line.row.not_scored),),
        shown=Shown.WITH_ROOM,
    ),
    Column(
        id="p50",
        title="p50 #N",
        help="The median of the tokens per response.",
        text=lambda line: numbers.tokens(line.row.tokens_p50_interval),
        width=13,
        order=lambda line: line.row.tokens_p50,
        fields=interval("tokens_p50", lambda line: line.row.tokens_p50_interval),
        shown=Shown.REPORT,
        section=Section.LENGTHS,
    ),
    Column(
        id="p95",
        title="p95 #N",
        help="The tokens that 95 % of the responses stay below.",
        text=lambda line: numbers.tokens(line.row.tokens_p95_interval, line.row.tokens_censored),
        width=14,
        brief=lambda line: "≥" * line.row.tokens_censored + numbers.count(line.row.tokens_p95),
        brief_width=7,
        order=lambda line: line.row.tokens_p95,
        fields=interval("tokens_p95", lambda line: line.row.tokens_p95_interval),
        shown=Shown.WITH_ROOM,
        section=Section.LENGTHS,
    ),
    Column(
        id="latency_p95",
        title="p95 latency",
        help="The seconds that 95 % of the responses stay below, projected.",
        text=lambda line: numbers.seconds_interval(line.row.seconds_p95),
        width=14,
        order=lambda line: _order(_value(line.row.seconds_p95)),
        fields=interval("seconds_p95", lambda line: line.row.seconds_p95),
        shown=Shown.REPORT,
        section=Section.LENGTHS,
    ),
    Column(
        id="problems",
        title="Problems",
        help="The problems asked at least once.",
        text=lambda line: numbers.count(line.row.problems),
        width=8,
        order=lambda line: line.row.problems,
        fields=(Field("problems", lambda line: line.row.problems),),
        shown=Shown.REPORT,
        section=Section.SAMPLES,
    ),
    Column(
        id="samples",
        title="k",
        help="The fewest samples of any problem.",
        text=lambda line: numbers.count(line.row.samples),
        width=4,
        order=lambda line: line.row.samples,
        fields=(Field("samples", lambda line: line.row.samples),),
        shown=Shown.REPORT,
        section=Section.SAMPLES,
    ),
    _share(
        "pass",
        "Pass@k",
        "The share of problems that one of the k samples answers right.",
        lambda row: row.pass_at_k,
        "pass_at_k",
    ),
    _share(
        "vote",
        "Vote@k",
        "The share of problems whose most frequent answer is right.",
        lambda row: row.vote_at_k,
        "vote_at_k",
    ),
    _share(
        "ties",
        "Ties",
        "The share of problems on which several answers won the vote.",
        lambda row: row.vote_ties,
        "vote_ties",
    ),
    _share(
        "no_vote",
        "No vote",
        "The share of problems where no response had an answer.",
        lambda row: row.vote_no_answer,
        "vote_no_answer",
    ),
)


def fitting(room: int, gap: int = 1) -> tuple[Fitted[ResultLine], ...]:
    """The columns that a table ``room`` characters wide shows, ``gap`` spaces apart."""
    return fit(COLUMNS, room, gap)


def of_section(section: Section) -> tuple[Column[ResultLine], ...]:
    """The columns of one table of the report; every one begins with the recipe."""
    first, *rest = COLUMNS
    return (first, *(column for column in rest if column.section is section))


def csv_fields() -> tuple[Field[ResultLine], ...]:
    """The fields of the CSV file, in the order of the columns."""
    return tuple(field for column in COLUMNS for field in column.fields)


def spoken_parts(line: ResultLine) -> list[str]:
    """The recipe, then each measure that is always shown with its name, without signs."""
    first, *rest = (column for column in COLUMNS if column.shown is Shown.ALWAYS)
    parts = [f"{column.title} {(column.spoken or column.text)(line)}" for column in rest]
    return [first.text(line) + (" (recommended)" if line.chosen else ""), *parts]


def spoken(line: ResultLine) -> str:
    """A line as one sentence, every number with its name and no sign: to be read aloud."""
    first, *rest = spoken_parts(line)
    return f"{first}: {', '.join(rest)}"
