"""Studies as text: the results table, one line of progress, the recommendation in words."""

from rich import box
from rich.table import Table
from rich.text import Text

from mi_tui.study.results import Estimate, RecipeSummary
from mi_tui.study.view import StudyEntry, StudyView

STAGE_SIGN = {1: "1 ·", 2: "2 ▲", 3: "3 ■", None: "–"}


def percent(estimate: Estimate) -> str:
    """A share with the half-width of its interval, in percent."""
    half = (estimate.high - estimate.low) / 2
    return f"{100 * estimate.value:.1f} ±{100 * half:.1f}"


def results_table(view: StudyView) -> Table:
    """One row per recipe, the recommended one in bold; 80 columns are enough."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("recipe", overflow="ellipsis", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    for name in ("n", "Mean@k %", "Think #R", "Token #N", "cut %", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    chosen = view.recommendation.recipe.key if view.recommendation else ""
    for row in _ordered(view.rows):
        table.add_row(*_cells(row), style="bold" if row.recipe.key == chosen else "")
    return table


def _ordered(rows: tuple[RecipeSummary, ...]) -> list[RecipeSummary]:
    return sorted(
        rows,
        key=lambda row: (not row.recipe.is_uniform, row.recipe.lambda_ or 0.0, row.recipe.label),
    )


def _cells(row: RecipeSummary) -> list[Text]:
    seconds = row.seconds
    bound = "≥" if row.tokens_censored else ""
    cells = [
        row.recipe.label,
        STAGE_SIGN[row.stage],
        str(row.rollouts),
        percent(row.score),
        f"{100 * row.think_ratio.value:.0f} %",
        f"{bound}{row.tokens.value:.0f} ±{(row.tokens.high - row.tokens.low) / 2:.0f}",
        f"{100 * row.truncated:.1f}",
        f"{seconds.value:.2f}" if seconds else "–",
    ]
    return [Text(cell) for cell in cells]


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
    for name in ("study", "preset", "state", "rollouts", "best so far"):
        table.add_column(name)
    for entry in entries:
        rollouts = f"{entry.rollouts}/{entry.planned}"
        cells = (entry.name, entry.title, str(entry.state), rollouts, entry.best)
        table.add_row(*(Text(cell) for cell in cells))
    return table
