"""A dialog with one short question: a value, or yes and no."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.widgets.form import Answer, text_field


class AskScreen(Dialog[str | None]):
    """Asks for a line of text; ``check`` says what is wrong with it, or nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="ask.cancel", tooltip="Change nothing"),
    ]

    def __init__(self, question: str, value: str, check: Callable[[str], str]) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:
        """The question, the field, what is wrong, the keys."""
        with Vertical(id="ask"):
            yield Static(self._question, markup=False)
            yield text_field("ask-field", self._value, kind=Answer)
            yield Static("", id="ask-problem", markup=False)
            yield Static(
                "Enter takes it · Escape cancels · F1 help", classes="form-hint", markup=False
            )

    @on(Input.Changed)
    def edited(self, event: Input.Changed) -> None:
        """Say what is wrong as it is typed."""
        problem = self._check(event.value)
        self.query_one("#ask-problem", Static).update(Text(f"✗ {problem}" if problem else ""))

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """Take the text when it is valid."""
        if self._check(event.value):
            self.app.bell()
        else:
            self.dismiss(event.value)


class ConfirmScreen(Dialog[bool]):
    """Asks for a yes before something that cannot be taken back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape", "dismiss(False)", "No", id="confirm.no", tooltip="Change nothing"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and the two keys."""
        with Vertical(id="ask"):
            yield Static(self._question, markup=False)
            yield Static("y yes · n no · ? help", classes="form-hint", markup=False)
