"""The newest responses beside the table, with the thinking folded."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from mi_tui.errors import MiTuiError
from mi_tui.present import numbers
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.studies.responses import ProblemText, Response
from mi_tui.tui.studies.watched_study import WatchedStudy

_QUESTION, _ANSWER, _THOUGHT = 160, 320, 2000
"""Characters shown at most of each; the whole is on the Responses screen."""

_NEWEST = 8
"""Responses read: more than there is room for."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A response with its problem."""

    problem: ProblemText
    response: Response


class NewestResponses(VerticalScroll, can_focus=False):
    """A column of responses, the newest on top; drawn again only when they differ."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._title = ""
        self._shown: tuple[Shown, ...] = ()
        self._unfolded = False

    def compose(self) -> ComposeResult:
        """One block of text."""
        yield Static("", classes="reading", markup=False)

    def on_mount(self) -> None:
        """Show what was given before the widget was there."""
        self.draw_again()

    async def read(self, session: WatchedStudy, recipe_key: str | None) -> None:
        """Read the newest responses of a recipe, or of all, and show them."""
        try:
            responses = await session.responses(recipe_key, limit=_NEWEST)
        except MiTuiError:
            return  # the app says so when it next looks at the study
        rows = session.view.rows if session.view else ()
        label = next((row.recipe.label for row in rows if row.recipe.key == recipe_key), "")
        title = f"Responses of {label}" if label else "Newest responses"
        self.show(title, [Shown(session.problem(r.problem), r) for r in responses])

    def show(self, title: str, shown: Sequence[Shown]) -> None:
        """Show these responses under a title."""
        if (title, tuple(shown)) != (self._title, self._shown):
            self._title, self._shown = title, tuple(shown)
            self.draw_again()

    def fold(self) -> None:
        """Unfold the thinking, or fold it."""
        self._unfolded = not self._unfolded
        self.draw_again()

    def draw_again(self) -> None:
        """Draw the same, perhaps in another theme's colours."""
        text = Text(f"{self._title}\n", overflow="fold")
        text.stylize(f"bold {rich_colour(self.app, 'accent')}")
        if self._title and not self._shown:
            text.append("None yet", rich_colour(self.app, "secondary"))
        for shown in self._shown:
            text.append_text(self._entry(shown))
        for block in self.query(Static):  # none before the first layout and at the end
            block.update(text)

    def _entry(self, shown: Shown) -> Text:
        response, secondary = shown.response, rich_colour(self.app, "secondary")
        colour = rich_colour(self.app, "success" if response.is_right else "error")
        entry = Text.assemble(
            (f"{response.sign} ", f"bold {colour}"),
            (response.recipe, "bold"),
            f" · {response.tokens:,} tokens\n",
            (f"{_line(shown.problem.question, _QUESTION)}\n", secondary),
        )
        if response.thinking is not None:
            entry.append_text(self._thinking(response.thinking, secondary))
        entry.append(f"{_line(response.answer, _ANSWER) or '(no answer)'}\n\n")
        return entry

    def _thinking(self, thinking: str, secondary: str) -> Text:
        if self._unfolded:
            return Text(f"▾ {numbers.cut(thinking, _THOUGHT)}\n", f"italic {secondary}")
        words = numbers.count(len(thinking.split()))
        return Text(f"▸ thinking, {words} words\n", secondary)


def _line(text: str, longest: int) -> str:
    """A text in one run, cut."""
    return numbers.cut(" ".join(text.split()), longest)
