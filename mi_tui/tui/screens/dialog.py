"""A dialog over a step: it shows the step's page of help."""

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A modal screen with help; keys of the app do not reach through one by themselves."""

    HELP_PAGE: ClassVar[str] = "scope"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f1",
            "app.help",
            "Help",
            id="dialog.help",
            tooltip="The idea of the step below, and the keys of the dialog",
        ),
    ]
