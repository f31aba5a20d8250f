"""One problem under several λ, side by side, as in the paper's case studies."""

from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import HorizontalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from mi_tui.analysis.statistics.flips import Flips
from mi_tui.errors import MiTuiError
from mi_tui.present import signs
from mi_tui.present.flips import FLIPPED, flip_words, problems_of
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.requests import ask_two_lambdas
from mi_tui.tui.studies.responses import one_per_recipe
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.reading import Reading
from mi_tui.tui.widgets.step_header import Step, StepHeader

_ENOUGH = 500
"""Responses of one problem that are read at most."""


class CaseScreen(Screen[None]):
    """A sample that every recipe has: same problem, same random numbers, another λ."""

    HELP_PAGE = "responses"
    AUTO_FOCUS = "#case"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f",
            "next_flip",
            "Next flip",
            id="case.flip",
            tooltip="The next problem that the recommended λ fixes or breaks",
        ),
        Binding(
            "F",
            "next_flip(-1)",
            "Previous flip",
            show=False,
            id="case.flip-back",
            tooltip="The problem before that flips",
        ),
        Binding(
            "b",
            "between",
            "Flips between",
            id="case.between",
            tooltip="Choose the two λ between which f and F look for flips",
        ),
        Binding("t", "fold", "Thinking", id="case.thinking", tooltip="Fold or unfold the thinking"),
        Binding("n", "go(1)", "Next problem", id="case.next", tooltip="The next problem"),
        Binding("p", "go(-1)", "Previous", id="case.previous", tooltip="The problem before"),
        Binding("l,right", "scroll(1)", "Right", show=False, id="case.right", tooltip="Larger λ"),
        Binding("h,left", "scroll(-1)", "Left", show=False, id="case.left", tooltip="Smaller λ"),
        Binding("escape", "app.pop_screen", "Back", id="case.back", tooltip="Back to the list"),
    ]

    def __init__(self, session: WatchedStudy, problem: int) -> None:
        super().__init__()
        self._session = session
        self._problem = problem
        self._unfolded = False
        self._flips: Flips | None = None

    def compose(self) -> ComposeResult:
        """The question, then one column per recipe."""
        yield StepHeader(Step.PROBE)
        yield Static("", id="question", markup=False)
        yield HorizontalScroll(id="case")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the responses to the problem."""
        self._read_problem()

    def action_fold(self) -> None:
        """Fold or unfold the thinking of all columns."""
        self._unfolded = not self._unfolded
        self._read_problem()

    def action_go(self, by: int) -> None:
        """Go to another problem, round the ends."""
        self._problem = (self._problem + by) % max(1, self._session.problem_count)
        self._read_problem()

    def action_next_flip(self, by: int = 1) -> None:
        """Go to the next problem that flips, or to the one before, round the ends."""
        flipped = [one.index for one in problems_of(self._flips, FLIPPED)] if self._flips else []
        if flipped:
            ahead = [index for index in flipped if (index - self._problem) * by > 0]
            self._problem = (ahead or flipped)[0 if by > 0 else -1]
            self._read_problem()
        else:
            self.notify("No problem flips.", severity="warning")

    def action_between(self) -> None:
        """Ask for two λ, and look for flips between the measured ones that are nearest."""

        def take(values: tuple[float, float]) -> None:
            start(self, partial(self._flip_between, *values), group="flips")

        rows = self._uniform_rows()
        if len(rows) > 1:
            self.app.push_screen(*ask_two_lambdas(rows[0], rows[-1], take))

    def _uniform_rows(self) -> list[float]:
        """The measured λ of the whole model, rising."""
        rows = self._session.view.rows if self._session.view else ()
        return sorted(row.recipe.lambda_ or 0.0 for row in rows if row.recipe.is_uniform)

    async def _flip_between(self, first: float, second: float) -> None:
        view = self._session.view
        if view is None:
            return
        nearest = [
            min(self._uniform_rows(), key=lambda at: abs(at - value)) for value in (first, second)
        ]
        one, other = (view.preset.recipe(value) for value in nearest)
        try:
            found = await self._session.flips_between(one, other)
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if is_open(self):
            self._flips = found
            count = len(problems_of(found, FLIPPED))
            words = "problem flips" if count == 1 else "problems flip"
            self.notify(f"{count} {words} between {one.label} and {other.label}", markup=False)
            if count:
                self.action_next_flip()

    def action_scroll(self, by: int) -> None:
        """Scroll by one column."""
        case = self.query_one("#case", HorizontalScroll)
        columns = list(case.query(Reading))
        if columns:
            case.scroll_relative(x=by * columns[0].outer_size.width, animate=False)

    def _read_problem(self) -> None:
        start(self, partial(self._read, self._problem))

    async def _read(self, number: int) -> None:
        view = self._session.view
        try:
            responses = await self._session.responses(problem=number, limit=_ENOUGH)
            if self._flips is None:
                self._flips = (await self._session.breakdown()).flips
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if not is_open(self):
            return
        problem = self._session.problem(number)
        question = Text(f"{problem.name}  ", style="bold")
        question.append(problem.question, "not bold")
        question.append(
            f"\nexpected {problem.expected}", f"not bold {rich_colour(self.app, 'secondary')}"
        )
        if self._flips is not None and (words := flip_words(self._flips, number)):
            question.append(f"\n{words}", "not bold")
        self.query_one("#question", Static).update(question)
        case = self.query_one("#case", HorizontalScroll)
        await case.remove_children()
        columns = []
        pairs = one_per_recipe(responses, view.rows if view else ())
        is_paired = len({response.sample for _, response in pairs}) == 1
        for row, response in pairs:
            stage = f"  {signs.stage(row.stage)}" if row.stage else ""
            sample = "" if is_paired else f"  sample {response.sample + 1}"
            column = Reading(f"{row.recipe.label}{stage}{sample}")
            column.show(response, unfolded=self._unfolded)
            columns.append(column)
        await case.mount(*columns) if columns else await case.mount(
            Static("No response to this problem yet.", markup=False)
        )
