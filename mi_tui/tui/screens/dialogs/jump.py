"""Jump labels: a letter on every field, and the key that goes there."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Label

from mi_tui.tui.screens.dialogs.dialog import Dialog

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


def jump_on(screen: Screen[Any]) -> None:
    """Show the letters over a screen that has fields to jump between, and go where one says."""
    targets = [widget for widget in screen.focus_chain if widget.region.height]

    def go(target: Widget | None) -> None:
        if target is not None:
            target.focus()

    if len(targets) > 1:
        screen.app.push_screen(JumpScreen(targets), go)


class JumpScreen(Dialog[Widget | None]):
    """Letters over the fields of the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "dismiss(None)", "Cancel", id="jump.cancel", tooltip="Stay where you are"
        ),
    ]

    def __init__(self, targets: Sequence[Widget]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        """A letter at the beginning of every field."""
        for letter, target in self._targets.items():
            label = Label(letter, classes="jump-letter", markup=False)
            label.styles.offset = (max(0, target.region.x - 2), target.region.y)
            yield label

    def on_key(self, event: events.Key) -> None:
        """Go to the field of the letter; any other key stays, but for those of the dialog."""
        if event.key not in self.active_bindings:
            event.stop()
            self.dismiss(self._targets.get(event.character or ""))
