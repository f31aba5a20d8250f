"""The base of dialogs over a screen."""

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A modal screen with help; keys of the app do not reach through one by themselves.

    Without a page of its own it shows that of the screen below.
    """

    HELP_PAGE: ClassVar[str | None] = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f1",
            "app.help",
            "Help",
            id="dialog.help",
            tooltip="The idea of the screen below, and the keys of the dialog",
        ),
        Binding(
            "question_mark",
            "app.keys",
            "Keys",
            key_display="?",
            show=False,
            id="dialog.keys",
            tooltip="The keys of the dialog; in a field F1, as ? is typed there",
        ),
    ]
