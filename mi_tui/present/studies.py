"""The comparison of studies as a table: a line for each fact and each λ, a column each study."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.plan.preset import Preset
from mi_tui.present import numbers, signs
from mi_tui.study.view import StudyState


class Compared(Protocol):
    """What is shown of a study."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def preset(self) -> Preset:
        """Its preset."""

    @property
    def state(self) -> StudyState:
        """Where it stands."""

    @property
    def rows(self) -> tuple[RecipeSummary, ...]:
        """Its measured rows."""

    @property
    def answer(self) -> Recommendation | None:
        """Its recommendation."""


def studies_comparison(studies: Sequence[Compared], notes: Sequence[str]) -> RenderableType:
    """The answers, then Mean@k and Token #N at each λ that one of the studies measured."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    for study in studies:
        table.add_column(Text(study.name), overflow="fold")
    for title, cells in _facts(studies):
        table.add_row(Text(title), *(Text(cell) for cell in cells))
    table.add_section()
    for lambda_ in sorted({lambda_ for study in studies for lambda_ in _by_lambda(study)}):
        found = [_by_lambda(study).get(lambda_) for study in studies]
        table.add_row(f"λ {lambda_:g}", *(Text(_row(row)) for row in found))
    return Group(*(Text(f"! {note}") for note in notes), table)


_OF_ANSWER: tuple[tuple[str, Callable[[Recommendation], str]], ...] = (
    ("Budget", lambda answer: answer.budget.spec),
    ("Recommended", lambda answer: answer.recipe.label if answer.recommended else "nothing"),
    ("Score", lambda answer: numbers.percent_range(answer.score)),
    ("Tokens", lambda answer: numbers.token_range(answer.tokens)),
    ("Think #R", lambda answer: numbers.percent_range(answer.think_ratio)),
    ("Settled", lambda answer: "yes" if answer.resolved else "no"),
)


def _facts(studies: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """The lines above the λ: a title, and a cell for each study."""
    lines = [
        ("State", [signs.state(study.state) for study in studies]),
        ("Instruct", [study.preset.pair.instruct for study in studies]),
        ("Thinking", [study.preset.pair.thinking for study in studies]),
    ]
    for title, text in _OF_ANSWER:
        answers = (study.answer for study in studies)
        lines.append((title, [text(one) if one else numbers.MISSING for one in answers]))
    return lines


def _by_lambda(study: Compared) -> dict[float, RecipeSummary]:
    return {
        row.recipe.lambda_: row
        for row in study.rows
        if row.recipe.is_uniform and row.recipe.lambda_ is not None
    }


def _row(row: RecipeSummary | None) -> str:
    if row is None:
        return ""
    tokens = numbers.tokens(row.tokens, row.tokens_censored)
    return f"{numbers.percent_interval(row.score)}, {tokens} tokens"
