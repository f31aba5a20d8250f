"""The comparison of several studies on one screen."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

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


class StudiesScreen(Screen[None]):
    """The answers of the studies, and their scores at each λ, a column each."""

    HELP_PAGE = "home"
    AUTO_FOCUS = "#studies"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="studies.back", tooltip="Back to the list"),
    ]

    def __init__(self, paths: Sequence[Path], services: Services) -> None:
        super().__init__()
        self._paths = tuple(paths)
        self._services = services
        self._thread = Background("compare studies")

    def compose(self) -> ComposeResult:
        """A title line and the table."""
        yield Static(f" {len(self._paths)} studies side by side", classes="bar", markup=False)
        with VerticalScroll(id="studies"):
            yield Static("Reading the studies …", id="compared", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read them."""
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
            shown.update(studies_comparison(found.studies, found.notes))
