"""A dialog to pick one of a few things."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.widgets.menu import MenuList


@dataclass(frozen=True, slots=True)
class Pick:
    """One thing to pick: its id, its name, and what it means."""

    id: str
    name: str
    words: str


class PickScreen(Dialog[str | None]):
    """The things by name with a few words each; gives back the id of the one picked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="pick.cancel", tooltip="Pick nothing"),
    ]

    def __init__(self, question: str, picks: Sequence[Pick]) -> None:
        super().__init__()
        self._question = question
        self._picks = tuple(picks)

    def compose(self) -> ComposeResult:
        """The question and the list."""
        secondary = rich_colour(self.app, "secondary")
        widest = max(len(pick.name) for pick in self._picks) + 2
        with Vertical(id="ask"):
            yield Static(self._question, classes="heading", markup=False)
            yield MenuList(
                *(
                    Option(
                        Text.assemble((f"{p.name:<{widest}}", "bold"), (p.words, secondary)),
                        id=p.id,
                    )
                    for p in self._picks
                ),
                id="theme-list",
                compact=True,
            )
            yield Static(
                "Enter takes it · Escape goes back · ? help", classes="form-hint", markup=False
            )

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """Give it back."""
        self.dismiss(event.option.id)
