"""Choose a theme: the screen behind changes as the cursor moves."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.tui.widgets.menu import MenuList


class ThemesScreen(ModalScreen[str | None]):
    """The themes by name; Enter keeps the one shown, Escape the one before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "keep_old", "Cancel", id="themes.cancel", tooltip="Keep the old theme"),
    ]

    def __init__(self, names: list[str], current: str) -> None:
        super().__init__()
        self._names = names
        self._current = current

    def compose(self) -> ComposeResult:
        """The list."""
        with Vertical(id="ask"):
            yield Static("Theme", classes="heading", markup=False)
            yield MenuList(
                *(Option(Text(name), id=name) for name in self._names),
                id="theme-list",
                compact=True,
            )
            yield Static("Enter keeps it · Escape goes back", classes="form-hint", markup=False)

    def on_mount(self) -> None:
        """Begin at the theme in use."""
        if self._current in self._names:
            self.query_one(MenuList).highlighted = self._names.index(self._current)

    @on(OptionList.OptionHighlighted)
    def shown(self, event: OptionList.OptionHighlighted) -> None:
        """Show the theme at once."""
        self.app.theme = str(event.option.id)

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """Keep it."""
        self.dismiss(event.option.id)

    def action_keep_old(self) -> None:
        """Go back to the theme before."""
        self.app.theme = self._current
        self.dismiss(None)
