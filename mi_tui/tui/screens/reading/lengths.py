"""The distribution of lengths of every λ, with thinking and without."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from mi_tui.errors import MiTuiError
from mi_tui.present.lengths import BESIDE, lengths_picture
from mi_tui.study.view import StudyView
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.step_header import Step, StepHeader

_EDGE = 5
"""Columns that the scrollbar and the space beside the picture take."""

_FEWEST, _MOST = 20, 120
"""Bins, one column each."""


class LengthsScreen(Screen[None]):
    """Two lines of blocks for each λ over one logarithmic axis of tokens."""

    HELP_PAGE = "responses"
    AUTO_FOCUS = "#lengths"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll(1)", "Down", show=False, id="lengths.down", tooltip="Down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="lengths.up", tooltip="Up"),
        Binding("escape", "app.pop_screen", "Back", id="lengths.back", tooltip="Back"),
    ]

    def __init__(self, session: WatchedStudy) -> None:
        super().__init__()
        self._session = session

    def compose(self) -> ComposeResult:
        """A title and the histograms."""
        yield StepHeader(Step.PROBE)
        title = " Lengths of responses: how many have how many tokens"
        yield Static(title, id="progress", markup=False)
        with VerticalScroll(id="lengths"):
            yield Static("Reading the rollouts …", id="histograms", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Count the lengths; follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._read_again())
        self._read_again()

    def on_resize(self) -> None:
        """One bin for each column there is."""
        self._read_again()

    def show_view(self, view: StudyView) -> None:
        """New rollouts: count again."""
        del view
        self._read_again()

    def action_scroll(self, by: int) -> None:
        """Scroll by a line."""
        self.query_one("#lengths", VerticalScroll).scroll_relative(y=by, animate=False)

    def _read_again(self) -> None:
        start(self, self._read)

    async def _read(self) -> None:
        bins = min(max(self.size.width - _EDGE - BESIDE, _FEWEST), _MOST)
        try:
            found = await self._session.length_histogram(bins)
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if is_open(self):
            names = ("curve-think", "curve-score", "secondary")
            styles = (rich_colour(self.app, name) for name in names)
            self.query_one("#histograms", Static).update(lengths_picture(found, *styles))
