"""The comparison of several studies on one screen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from mi_tui.errors import MiTuiError
from mi_tui.present.studies import studies_comparison
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.studies_plot import NAMES, StudiesPlot

if TYPE_CHECKING:
    from mi_tui.api.comparison import ComparedStudy


class StudiesScreen(Screen[None]):
    """The curves of the studies over one another, then their answers and rows, a column each."""

    HELP_PAGE = "home"
    AUTO_FOCUS = "#studies"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "m",
            "measure",
            "Measure",
            id="studies.measure",
            tooltip="Draw the score, the tokens or the think ratio of the studies",
        ),
        Binding("escape", "app.pop_screen", "Back", id="studies.back", tooltip="Back to the list"),
    ]

    def __init__(self, paths: Sequence[Path], services: Services) -> None:
        super().__init__()
        self._paths = tuple(paths)
        self._services = services
        self._thread = Background("compare studies")
        self._studies: tuple[ComparedStudy, ...] = ()
        self._measure = next(iter(NAMES))

    def compose(self) -> ComposeResult:
        """A title line and the table."""
        yield Static(f" {len(self._paths)} studies side by side", classes="bar", markup=False)
        with VerticalScroll(id="studies"):
            yield Static("", id="studies-legend", markup=False)
            yield StudiesPlot(id="studies-plot")
            yield Static("Reading the studies …", id="compared", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read them; follow the theme."""
        self.query_one(StudiesPlot).set_class(True, "-hidden")
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        start(self, self._read)

    def on_unmount(self) -> None:
        """Let the thread end."""
        self._thread.close()

    async def _read(self) -> None:
        shown = self.query_one("#compared", Static)
        try:
            found = await self._thread.run(lambda: self._services.compare(self._paths))
        except MiTuiError as error:
            shown.update(Text(str(error)))
            return
        if is_open(self):
            self._studies = found.studies
            self.query_one(StudiesPlot).set_class(False, "-hidden")
            self._draw()
            shown.update(studies_comparison(found.studies, found.notes))

    def action_measure(self) -> None:
        """Draw the next measure."""
        names = list(NAMES)
        self._measure = names[(names.index(self._measure) + 1) % len(names)]
        self._draw()

    def _draw(self) -> None:
        if self._studies:
            plot = self.query_one(StudiesPlot)
            plot.show(self._studies, self._measure)
            self.query_one("#studies-legend", Static).update(plot.legend())
