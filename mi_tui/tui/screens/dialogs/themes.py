"""The dialog that chooses a theme, with the screen behind as preview."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.theme_watch import EVERY, ThemeWatch
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.widgets.menu import MenuList


class ThemesScreen(Dialog[str | None]):
    """The themes by name; Enter keeps the one shown, Escape the one before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "keep_old", "Cancel", id="themes.cancel", tooltip="Keep the old theme"),
    ]

    def __init__(self, names: list[str], current: str, watch: ThemeWatch) -> None:
        super().__init__()
        self._names = names
        self._current = current
        self._watch = watch

    def compose(self) -> ComposeResult:
        """The list."""
        with Vertical(id="ask"):
            yield Static("Theme", classes="heading", markup=False)
            yield MenuList(*self._lines(), id="theme-list", compact=True)
            yield Static(
                "Enter keeps it · Escape goes back · ? help", classes="form-hint", markup=False
            )

    def on_mount(self) -> None:
        """Begin at the theme in use; a theme file that is saved meanwhile is taken over."""
        self._highlight(self._current)
        self.set_interval(EVERY, self._look)

    def _lines(self) -> list[Option]:
        """A line for each theme: its name, and whether it is dark or light."""
        dim = rich_colour(self.app, "secondary")
        themes = self.app.available_themes
        return [
            Option(
                Text.assemble(f"{name:<26}", ("dark" if themes[name].dark else "light", dim)),
                id=name,
            )
            for name in self._names
        ]

    def _highlight(self, name: str) -> None:
        if name in self._names:
            self.query_one(MenuList).highlighted = self._names.index(name)

    def _look(self) -> None:
        for problem in self._watch.look():
            self.notify(problem.message, severity="warning", markup=False)
        new = [name for name in sorted(self.app.available_themes) if name not in self._names]
        if new:
            under = self.app.theme
            self._names += new
            listed = self.query_one(MenuList)
            listed.clear_options()
            listed.add_options(self._lines())
            self._highlight(under)

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
