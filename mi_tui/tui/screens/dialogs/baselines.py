"""Further rows of a study: baselines to compare with, and what else a preset brought along."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.plan.recipe import Decoding, Method, Recipe
from mi_tui.tui.forms.numbers import number
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.screens.dialogs.ask import AskScreen
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.widgets.menu import MenuList

Rows = tuple[tuple[Recipe, ...], str]
"""The further rows, and the base model of the baselines."""

_ABOUT = (
    "Measured once each beside the search over λ, so that the table can compare. Task "
    "arithmetic and TIES add both sides' changes to the base model both were trained from."
)


class RowsScreen(Dialog[Rows]):
    """Adds and removes further rows; leaving takes what is listed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "x,delete",
            "remove",
            "Remove",
            id="rows.remove",
            key_display="x",
            tooltip="Take the row under the cursor out",
        ),
        Binding("escape", "done", "Done", id="rows.done", tooltip="Back to Scope with these rows"),
    ]

    def __init__(self, recipes: tuple[Recipe, ...], base: str, decoding: Decoding) -> None:
        super().__init__()
        self._recipes = list(recipes)
        self._base = base
        self._decoding = decoding

    def compose(self) -> ComposeResult:
        """The rows there are, then what can be added, then the base model."""
        with Vertical(classes="dialog"):
            yield Static("Further rows", classes="heading", markup=False)
            yield Static(_ABOUT, classes="dialog-about", markup=False)
            yield MenuList(id="rows", markup=False, compact=True)
            yield Static("Enter adds or changes · x removes", classes="dialog-keys", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """List what there is."""
        self._show("add:task-arithmetic")

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """Ask for what the line needs."""
        match str(event.option.id):
            case "add:task-arithmetic":
                self._ask("Scale of the two changes? (paper: 0.7)", "0.7", Method.TASK_ARITHMETIC)
            case "add:ties":
                self._ask("Scale and density? (paper: 0.5, 0.2)", "0.5, 0.2", Method.TIES)
            case "base":
                self.app.push_screen(
                    AskScreen("Base model of the baselines?", self._base, lambda _: ""),
                    self._take_base,
                )

    def action_remove(self) -> None:
        """Take out the row under the cursor."""
        listed = self.query_one(MenuList)
        index = listed.highlighted
        under = "" if index is None else str(listed.get_option_at_index(index).id)
        if under.startswith("row:"):
            del self._recipes[int(under.removeprefix("row:"))]
            self._show("add:task-arithmetic")

    def action_done(self) -> None:
        """Give the rows back."""
        self.dismiss((tuple(self._recipes), self._base))

    def _ask(self, question: str, example: str, method: Method) -> None:
        def add(text: str | None) -> None:
            if text is not None:
                recipe = read_baseline(method, text, self._decoding)
                if recipe not in self._recipes:
                    self._recipes.append(recipe)
                self._show("base" if not self._base else f"add:{method}")

        def problem(text: str) -> str:
            try:
                read_baseline(method, text, self._decoding)
            except ValueError as error:
                return str(error)
            return ""

        self.app.push_screen(AskScreen(question, example, problem), add)

    def _take_base(self, base: str | None) -> None:
        if base is not None:
            self._base = base.strip()
            self._show("base")

    def _show(self, under: str) -> None:
        secondary = rich_colour(self.app, "secondary")
        lines = [
            Option(Text.assemble("  ", (f"{i + 1} ", secondary), in_words(recipe)), id=f"row:{i}")
            for i, recipe in enumerate(self._recipes)
        ]
        needs = any(recipe.method is not Method.INTERPOLATION for recipe in self._recipes)
        missing = "! none yet: the baselines need one" if needs else "none"
        lines += [
            *([Option("", disabled=True)] if lines else []),
            Option("+ task arithmetic", id="add:task-arithmetic"),
            Option("+ TIES", id="add:ties"),
            Option("", disabled=True),
            Option(Text.assemble("Base model  ", (self._base or missing, secondary)), id="base"),
        ]
        listed = self.query_one(MenuList)
        listed.clear_options()
        listed.add_options(lines)
        listed.highlighted = [line.id for line in lines].index(under)


def in_words(recipe: Recipe) -> str:
    """A further row with what its label leaves out."""
    if recipe.method is Method.TASK_ARITHMETIC:
        return f"task arithmetic, scale {recipe.scale:g}"
    if recipe.method is Method.TIES:
        return f"TIES, scale {recipe.scale:g}, density {recipe.density:g}"
    return f"{recipe.label}  ({recipe.decoding})"


def read_baseline(method: Method, text: str, decoding: Decoding) -> Recipe:
    """A baseline from its scale, for TIES with its density.

    Raises:
        ValueError: the numbers are not what the method takes.
    """
    parts = text.replace(",", " ").split()
    if method is Method.TASK_ARITHMETIC:
        if len(parts) != 1:
            raise ValueError("one number up to 2, such as 0.7")
        return Recipe(method=method, scale=number(parts[0], above=0, most=2), decoding=decoding)
    if len(parts) != 2:
        raise ValueError("scale and density, such as 0.5, 0.2")
    return Recipe(
        method=method,
        scale=number(parts[0], above=0, most=2),
        density=number(parts[1], above=0, most=1),
        decoding=decoding,
    )
