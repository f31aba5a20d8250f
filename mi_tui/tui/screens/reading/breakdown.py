"""Results by probe and stratum, and the problems that flip."""

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from mi_tui.errors import MiTuiError
from mi_tui.present.flips import FLIPPED, flips_picture, problems_of
from mi_tui.present.groups import groups_picture
from mi_tui.study.view import Breakdown, StudyView
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.studies.messages import ShowCase
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.step_header import Step, StepHeader

_EDGE = 4
"""Columns that the scrollbar and the space beside the tables take."""


class BreakdownScreen(Screen[None]):
    """The flips of the recommended λ, then the results table of each probe and stratum."""

    HELP_PAGE = "breakdown"
    AUTO_FOCUS = "#breakdown"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "c",
            "case",
            "Read flips",
            id="breakdown.case",
            tooltip="The first problem that flips, under every λ",
        ),
        Binding("j,down", "scroll(1)", "Down", show=False, id="breakdown.down", tooltip="Down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="breakdown.up", tooltip="Up"),
        Binding(
            "escape", "app.pop_screen", "Back", id="breakdown.back", tooltip="Back to the table"
        ),
    ]

    def __init__(self, session: WatchedStudy) -> None:
        super().__init__()
        self._session = session
        self._found = Breakdown()

    def compose(self) -> ComposeResult:
        """The tables, below each other."""
        yield StepHeader(Step.PROBE)
        with VerticalScroll(id="breakdown"):
            yield Static("Reading the rollouts …", id="tables", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the results."""
        start(self, self._read)

    def on_resize(self) -> None:
        """Draw the tables for the new width."""
        if self._found.groups:
            self._draw()

    def show_view(self, view: StudyView) -> None:
        """New rollouts: read again."""
        del view
        start(self, self._read)

    def action_scroll(self, by: int) -> None:
        """Scroll by a line."""
        self.query_one("#breakdown", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_case(self) -> None:
        """Show the first problem that flips."""
        flips = self._found.flips
        listed = problems_of(flips, FLIPPED) if flips else []
        if listed:
            self.post_message(ShowCase(listed[0].index))
        else:
            self.notify("No problem flips.", severity="warning")

    async def _read(self) -> None:
        try:
            found = await self._session.breakdown()
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if is_open(self):
            self._found = found
            self._draw()

    def _draw(self) -> None:
        room = max(self.size.width - _EDGE, 40)
        answer = self._session.view.recommendation if self._session.view else None
        flips: RenderableType = Text("Problems that flip are known once a λ is recommended.")
        if self._found.flips is not None:
            flips = flips_picture(self._found.flips, room)
        elif answer is not None:
            flips = Text("λ = 0 and λ = 1 were not measured: no problem can be said to flip.")
        tables = groups_picture(self._found.groups, room, answer.row_key if answer else None)
        self.query_one("#tables", Static).update(Group(flips, Text(), tables))
