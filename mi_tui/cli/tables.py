"""Tables and sentences of studies for a terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.ablation.comparison import ComparedRow, Comparison
from mi_tui.analysis.results import Estimate, RecipeSummary
from mi_tui.plan.recipe import labels
from mi_tui.study.view import StudyEntry, StudyView

_TITLE, _BEST = 16, 16
"""Columns of a study's title, and of its best λ or what became of it, in the list of studies."""

STAGE_SIGN = {1: "1 ·", 2: "2 ▲", 3: "3 ■", None: "–"}


def percent(estimate: Estimate) -> str:
    """A share with the half-width of its interval, in percent."""
    half = (estimate.high - estimate.low) / 2
    return f"{100 * estimate.value:.1f} ±{100 * half:.1f}"


def _score(row: RecipeSummary) -> str:
    return f"{100 * row.score.value:.0f} ±?" if row.preliminary else percent(row.score)


def results_table(view: StudyView) -> Table:
    """One row per recipe, the recommended one in bold; 80 columns are enough."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("recipe", overflow="ellipsis", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    for name in ("n", "Mean@k %", "Think #R", "Token #N", "cut %", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    chosen = view.recommendation.recipe.key if view.recommendation else ""
    rows = _ordered(view.rows)
    for row, label in zip(rows, labels([row.recipe for row in rows]), strict=True):
        table.add_row(*_cells(row, label), style="bold" if row.recipe.key == chosen else "")
    return table


def comparison_table(found: Comparison) -> Table:
    """The rows of an ablation with their paired differences from the reference."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("recipe", overflow="fold", min_width=21)
    for name in ("Mean@k %", "difference", "", "tokens", "ratio", "think"):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=True)
    table.add_row(*_compared_cells(found.reference_label, found.reference, None), style="bold")
    for row in _by_scope(found.rows):
        table.add_row(*_compared_cells(row.label, row.summary, row))
    return table


def _by_scope(rows: tuple[ComparedRow, ...]) -> list[ComparedRow]:
    """The plain λ first, in order; then the other rows as they were asked."""
    return sorted(
        rows, key=lambda row: (not row.summary.recipe.is_uniform, _lambda_of(row.summary))
    )


def _lambda_of(row: RecipeSummary) -> float:
    return (row.recipe.lambda_ or 0.0) if row.recipe.is_uniform else 0.0


def _compared_cells(label: str, summary: RecipeSummary, row: ComparedRow | None) -> list[Text]:
    difference = row.difference if row else None
    points, ratio, verdict = "", "", row.verdict if row else "reference"
    if difference is not None:
        points = signed_points(difference.score)
        ratio = f"×{difference.tokens_ratio.value:.2f}"
    bound = "≥" if summary.tokens_censored else ""
    cells = [
        label,
        percent(summary.score),
        points,
        verdict,
        f"{bound}{summary.tokens.value:.0f}",
        ratio,
        f"{100 * summary.think_ratio.value:.0f} %",
    ]
    return [Text(cell) for cell in cells]


def signed_points(difference: Estimate) -> str:
    """A difference of scores in points, with the half-width of its interval."""
    half = (difference.high - difference.low) / 2
    return f"{100 * difference.value:+.1f} ±{100 * half:.1f}"


def _ordered(rows: tuple[RecipeSummary, ...]) -> list[RecipeSummary]:
    return sorted(
        rows,
        key=lambda row: (not row.recipe.is_uniform, row.recipe.lambda_ or 0.0, row.recipe.label),
    )


def _cells(row: RecipeSummary, label: str) -> list[Text]:
    seconds = row.seconds
    bound = "≥" if row.tokens_censored or row.preliminary else ""
    half = "?" if row.preliminary else f"{(row.tokens.high - row.tokens.low) / 2:.0f}"
    cells = [
        label,
        STAGE_SIGN[row.stage],
        f"{row.rollouts}{'…' * row.preliminary}",
        _score(row),
        f"{100 * row.think_ratio.value:.0f} %",
        f"{bound}{row.tokens.value:.0f} ±{half}",
        f"{100 * row.truncated:.1f}",
        f"{seconds.value:.2f}" if seconds else "–",
    ]
    return [Text(cell) for cell in cells]


def plain_rows(view: StudyView) -> list[str]:
    """The results as one sentence per recipe, every number with its name: to be read aloud."""
    chosen = view.recommendation.recipe.key if view.recommendation else ""
    return [_sentence(row, row.recipe.key == chosen) for row in _ordered(view.rows)]


def _sentence(row: RecipeSummary, chosen: bool) -> str:
    bound = "at least " if row.tokens_censored or row.preliminary else ""
    parts = [
        f"{row.recipe.label}{' (recommended)' if chosen else ''}: score {_score(row)} %",
        f"{100 * row.think_ratio.value:.0f} % think",
        f"{bound}{row.tokens.value:.0f} tokens",
        f"{100 * row.truncated:.1f} % cut",
        f"{row.rollouts} rollouts{' so far' * row.preliminary}",
    ]
    if row.stage is not None:
        parts.insert(1, f"stage {row.stage}")
    if row.seconds is not None:
        parts.insert(-2, f"{row.seconds.value:.2f} s")
    return ", ".join(parts)


def progress_line(view: StudyView) -> str:
    """State, phase, how much of how much, speed and time left, in one line."""
    progress = view.progress
    if not view.state.is_active:
        return f"{view.state}: {view.message}" if view.message else str(view.state)
    parts = [f"{view.state}: {progress.phase}"]
    if progress.planned:
        share = progress.rollouts / progress.planned
        parts.append(f"{progress.rollouts}/{progress.planned} rollouts ({share:.0%})")
    if progress.tokens_per_second:
        parts.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    if progress.eta_seconds is not None:
        parts.append(f"about {duration(progress.eta_seconds)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as ``45 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def recommendation_lines(view: StudyView) -> list[str]:
    """The answer, what it gives up, and the alternatives, a sentence a line."""
    answer = view.recommendation
    if answer is None:
        return [progress_line(view)]
    lines = [f"Budget: {answer.budget.in_words}.", answer.sentence]
    if answer.confirmation:
        lines.append(answer.confirmation.sentence)
    lines += [alternative.sentence for alternative in answer.alternatives]
    return lines


def studies_table(entries: tuple[StudyEntry, ...]) -> Table:
    """One row per study, the latest first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    # The name is there to be copied: folded where it must be, never cut.
    table.add_column("study", overflow="fold", min_width=20)
    for name in ("preset", "state", "rollouts", "best so far"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for entry in entries:
        rollouts = f"{entry.rollouts}/{entry.planned}"
        cells = [Text(cell) for cell in (entry.name, entry.title, str(entry.state), rollouts)]
        best = Text(entry.best)
        cells[1].truncate(_TITLE, overflow="ellipsis")
        best.truncate(_BEST, overflow="ellipsis")
        table.add_row(*cells, best)
    return table
