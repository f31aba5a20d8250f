"""A dialog with the command that serves a study, and the efforts it would offer."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.studies.export import Serving


class ServeScreen(Dialog[bool]):
    """Gives back whether the command is to be copied."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "dismiss(True)", "Copy", id="serve.copy", tooltip="Copy the command"),
        Binding("escape", "dismiss(False)", "Back", id="serve.back", tooltip="Back to the answer"),
    ]

    def __init__(self, serving: Serving) -> None:
        super().__init__()
        self._serving = serving

    def compose(self) -> ComposeResult:
        """The command, the efforts, the keys."""
        with Vertical(id="ask"):
            yield Static("Serve with λ per request", classes="heading", markup=False)
            yield Static(f"{self._serving.command}\n", id="serve-command", markup=False)
            yield Static("\n".join(self._serving.efforts), id="serve-efforts", markup=False)
            yield Static("c copies · Escape goes back · ? help", classes="form-hint", markup=False)
