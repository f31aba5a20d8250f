"""The dialog of baselines and further recipes of a study."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from mi_tui.plan.method import LAMBDA, METHODS, MergeMethod
from mi_tui.plan.numbers import whole
from mi_tui.plan.recipe import Decoding, Recipe, capped_thinking
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.screens.dialogs.ask import AskScreen
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.widgets.menu import MenuList

Rows = tuple[tuple[Recipe, ...], str]
"""The further rows, and the base model of the baselines."""

_ABOUT = (
    "Measured once each beside the search over λ, so that the table can compare. Methods that "
    "need a base model add both sides' changes to the model that both were trained from."
)

_CAPPED = "Thinking, its thought cut and closed"
_CAP = "Tokens a thought may have?"


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
            yield Static("Baselines", classes="heading", markup=False)
            yield Static(_ABOUT, classes="dialog-about", markup=False)
            yield MenuList(id="rows", markup=False, compact=True)
            yield Static("Enter adds or changes · x removes", classes="dialog-keys", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """List what there is."""
        self._show(f"add:{_addable()[0].name}")

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """Ask for what the line needs."""
        chosen = str(event.option.id)
        if chosen == "base":
            self.app.push_screen(
                AskScreen("Base model of the baselines?", self._base, lambda _: ""),
                self._take_base,
            )
        elif chosen == "cap":
            self.app.push_screen(AskScreen(_CAP, "512", cap_problem), self._add_capped)
        elif chosen.startswith("add:"):
            self._ask(METHODS[chosen.removeprefix("add:")])

    def action_remove(self) -> None:
        """Take out the row under the cursor."""
        listed = self.query_one(MenuList)
        index = listed.highlighted
        under = "" if index is None else str(listed.get_option_at_index(index).id)
        if under.startswith("row:"):
            del self._recipes[int(under.removeprefix("row:"))]
            self._show(f"add:{_addable()[0].name}")

    def action_done(self) -> None:
        """Give the rows back."""
        self.dismiss((tuple(self._recipes), self._base))

    def _ask(self, method: MergeMethod) -> None:
        def add(text: str | None) -> None:
            if text is not None:
                recipe = read_baseline(method, text, self._decoding)
                if recipe not in self._recipes:
                    self._recipes.append(recipe)
                needs_base = method.needs_base and not self._base
                self._show("base" if needs_base else f"add:{method.name}")

        def problem(text: str) -> str:
            try:
                read_baseline(method, text, self._decoding)
            except ValueError as error:
                return str(error)
            return ""

        self.app.push_screen(AskScreen(_question(method), _suggestion(method), problem), add)

    def _add_capped(self, text: str | None) -> None:
        if text is not None:
            recipe = capped_thinking(whole(text, least=1), self._decoding)
            if recipe not in self._recipes:
                self._recipes.append(recipe)
            self._show("cap")

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
        needs = any(recipe.merge_method.needs_base for recipe in self._recipes)
        missing = "! none yet: the baselines need one" if needs else "none"
        lines += [
            *([Option("", disabled=True)] if lines else []),
            Option(f"+ {_CAPPED}", id="cap"),
            *(Option(f"+ {method.title}", id=f"add:{method.name}") for method in _addable()),
            Option("", disabled=True),
            Option(Text.assemble("Base model  ", (self._base or missing, secondary)), id="base"),
        ]
        listed = self.query_one(MenuList)
        listed.clear_options()
        listed.add_options(lines)
        listed.highlighted = [line.id for line in lines].index(under)


def in_words(recipe: Recipe) -> str:
    """A further row with what its label leaves out."""
    if recipe.merge_method.is_linear:
        return f"{recipe.label}  ({recipe.decoding})"
    return recipe.merge_method.described(recipe.values)


def cap_problem(text: str) -> str:
    """What is wrong with the cap of a thought; empty where nothing is."""
    try:
        whole(text, least=1)
    except ValueError as error:
        return str(error)
    return ""


def read_baseline(method: MergeMethod, text: str, decoding: Decoding) -> Recipe:
    """A baseline from the numbers that its method takes, λ first where it takes one.

    Raises:
        ValueError: the numbers are not what the method takes.
    """
    names = _names(method)
    parts = text.replace(",", " ").split()
    if len(parts) != len(names):
        raise ValueError(f"{_listed(names)}, such as {_suggestion(method)}")
    try:
        given = {name: float(part) for name, part in zip(names, parts, strict=True)}
    except ValueError:
        raise ValueError(f"a number for each of {_listed(names)}") from None
    lambda_ = given.pop(LAMBDA, None)
    if lambda_ is not None and not 0.0 <= lambda_ <= 1.0:
        raise ValueError("lambda is a number from 0 to 1")
    parameters = method.checked(given)
    return Recipe(method=method.name, lambda_=lambda_, decoding=decoding, **parameters)


def _addable() -> list[MergeMethod]:
    """All methods but the one that the search itself measures."""
    return [method for method in METHODS if not method.is_linear]


def _question(method: MergeMethod) -> str:
    paper = [f"{p.paper:g}" for p in method.parameters if p.paper is not None]
    asked = _listed(["λ" if name == LAMBDA else name for name in _names(method)])
    asked = asked if asked.startswith("λ") else asked[0].upper() + asked[1:]
    return f"{asked}?" + (f" (paper: {', '.join(paper)})" if paper else "")


def _suggestion(method: MergeMethod) -> str:
    lambda_ = [method.example_lambda] if method.takes_lambda else []
    return ", ".join(f"{v:.10g}" for v in (*lambda_, *(p.suggested for p in method.parameters)))


def _names(method: MergeMethod) -> list[str]:
    return [*([LAMBDA] if method.takes_lambda else []), *(p.name for p in method.parameters)]


def _listed(names: list[str]) -> str:
    *most, last = names or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last
