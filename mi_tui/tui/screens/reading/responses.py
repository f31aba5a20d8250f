"""The responses of one recipe: a list, and the chosen one to read."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.analysis.results import RecipeSummary
from mi_tui.errors import MiTuiError
from mi_tui.present import numbers
from mi_tui.study.view import StudyView
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.ask import AskScreen
from mi_tui.tui.studies.messages import ShowCase, ShowLengths
from mi_tui.tui.studies.responses import Response, Wanted, matching
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.menu import MenuList
from mi_tui.tui.widgets.reading import Reading
from mi_tui.tui.widgets.step_header import Step, StepHeader

_ENOUGH, _SEARCHED = 50, 1000
"""Responses that are listed at most, and those that are looked through for them."""


class ResponsesScreen(Screen[None]):
    """The latest responses of one recipe, the newest first."""

    HELP_PAGE = "responses"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "t",
            "fold",
            "Thinking",
            id="responses.thinking",
            tooltip="Fold or unfold the thinking",
        ),
        Binding(
            "c",
            "case",
            "Compare λ",
            id="responses.case",
            tooltip="This problem under every λ, side by side",
        ),
        Binding(
            "w",
            "only('wrong')",
            "Wrong",
            id="responses.wrong",
            tooltip="Only responses that are not right; again for all",
        ),
        Binding(
            "u",
            "only('cut')",
            "Cut",
            id="responses.cut",
            tooltip="Only responses cut at the token cap; again for all",
        ),
        Binding(
            "d",
            "lengths",
            "Lengths",
            id="responses.lengths",
            tooltip="The distribution of lengths of every λ, with thinking and without",
        ),
        Binding(
            "slash",
            "search",
            "Search",
            key_display="/",
            id="responses.search",
            tooltip="Only responses with a text in answer, thinking or question",
        ),
        Binding(
            "escape",
            "app.pop_screen",
            "Back",
            id="responses.back",
            tooltip="Back to the table",
        ),
    ]

    def __init__(self, session: WatchedStudy, row: RecipeSummary) -> None:
        super().__init__()
        self._session = session
        self._row = row
        self._responses: dict[str, Response] = {}
        self._unfolded = False
        self._wanted = Wanted.ALL
        self._sought = ""

    def compose(self) -> ComposeResult:
        """List and question on top or left, the response beside or below."""
        yield StepHeader(Step.PROBE)
        yield Static(f" Responses of {self._row.recipe.label}", id="progress", markup=False)
        with Horizontal(id="reading-panes"):
            yield MenuList(id="response-list", markup=False, compact=True)
            with Vertical():
                yield Static("", id="question", markup=False)
                yield Reading(id="reading")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the first responses."""
        start(self, self._read)

    def show_view(self, view: StudyView) -> None:
        """New rollouts: read again if this recipe has more."""
        now = next((r for r in view.rows if r.recipe.key == self._row.recipe.key), None)
        if now is not None and now.rollouts != self._row.rollouts:
            self._row = now
            start(self, self._read)

    @on(OptionList.OptionHighlighted)
    def chosen(self, event: OptionList.OptionHighlighted) -> None:
        """Show the response under the cursor."""
        self._show(self._responses.get(event.option.id or ""))

    def action_fold(self) -> None:
        """Fold or unfold the thinking."""
        self._unfolded = not self._unfolded
        self._show(self._current())

    def action_only(self, wanted: str) -> None:
        """Show the wrong or the cut ones alone, or all again."""
        kind = Wanted(wanted)
        self._wanted = Wanted.ALL if self._wanted is kind else kind
        start(self, self._read)

    def action_search(self) -> None:
        """Ask for the text that responses must have."""

        def take(text: str | None) -> None:
            if text is not None:
                self._sought = text.strip()
                start(self, self._read)

        question = "Show the responses with which text? (empty: all)"
        self.app.push_screen(AskScreen(question, self._sought, lambda _: ""), take)

    def action_lengths(self) -> None:
        """Show the distribution of lengths."""
        self.post_message(ShowLengths())

    def action_case(self) -> None:
        """Compare this problem under every λ."""
        response = self._current()
        if response is not None:
            self.post_message(ShowCase(response.problem))

    async def _read(self) -> None:
        try:
            limit = _ENOUGH if self._wanted is Wanted.ALL and not self._sought else _SEARCHED
            read = await self._session.responses(recipe_key=self._row.recipe.key, limit=limit)
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if not is_open(self):
            return
        question = self._session.problem
        responses = matching(
            read, self._wanted, self._sought, lambda index: question(index).question
        )[:_ENOUGH]
        self._show_title(len(responses), len(read))
        listed = self.query_one(MenuList)
        current = self._current()
        self._responses = {str(response.id): response for response in responses}
        listed.clear_options()
        listed.add_options(Option(self._line(r), id=key) for key, r in self._responses.items())
        keys = list(self._responses)
        if keys:
            here = str(current.id) if current is not None else ""
            listed.highlighted = keys.index(here) if here in keys else 0
        else:
            self._show(None)
            self.query_one("#question", Static).update("")

    def _show_title(self, shown: int, read: int) -> None:
        """Whose responses they are, and which of them."""
        title = f" Responses of {self._row.recipe.label}"
        if self._wanted is not Wanted.ALL or self._sought:
            kinds = [] if self._wanted is Wanted.ALL else [f"{self._wanted} only"]
            kinds += [f"with {self._sought!r}"] if self._sought else []
            title += f" · {', '.join(kinds)}: {shown} of the newest {read}"
        self.query_one("#progress", Static).update(title)

    def _current(self) -> Response | None:
        listed = self.query_one(MenuList)
        if listed.highlighted is None or not self._responses:
            return None
        return self._responses.get(listed.get_option_at_index(listed.highlighted).id or "")

    def _line(self, response: Response) -> Text:
        colour = rich_colour(self.app, "success" if response.is_right else "error")
        name = self._session.problem(response.problem).name
        return Text.assemble(
            (f"{response.sign} ", colour),
            f"{numbers.cut(name, 9):<10}{numbers.count(response.tokens):>5}",
            no_wrap=True,
        )

    def _show(self, response: Response | None) -> None:
        self.query_one(Reading).show(response, unfolded=self._unfolded)
        if response is not None:
            problem = self._session.problem(response.problem)
            question = Text(problem.question, overflow="fold")
            question.append(f"\nexpected {problem.expected}", rich_colour(self.app, "secondary"))
            self.query_one("#question", Static).update(question)
