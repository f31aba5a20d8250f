"""Help: the idea behind a screen, then its keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, Markdown, Static

from mi_tui.plan.budget import parse_budget
from mi_tui.plan.objective import OBJECTIVES
from mi_tui.tui.runtime.colours import rich_colour

_PAGES = Path(__file__).resolve().parents[2] / "help"

KeyRow = tuple[str, str, str]
"""A key, what it does in a word or two, and its tooltip."""

_EVERYWHERE: tuple[KeyRow, ...] = (("tab", "Next field", "shift+tab goes to the one before"),)


class HelpScreen(ModalScreen[None]):
    """A page of help over the screen it speaks of."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,q,f1,question_mark,enter",
            "dismiss",
            "Close",
            id="help.close",
            key_display="esc",
            tooltip="Close the help",
        ),
        Binding("j", "scroll('down')", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("k", "scroll('up')", "Up", show=False, id="help.up", tooltip="Scroll up"),
    ]

    def __init__(self, page: str | None, keys: list[KeyRow]) -> None:
        super().__init__()
        self._page = page
        self._keys = keys

    def compose(self) -> ComposeResult:
        """The page, then the keys; the keys alone without a page."""
        with VerticalScroll(id="help-body"):
            if self._page is not None:
                yield Markdown(page_text(self._page), open_links=False)
            yield Static(self._key_lines(), id="help-keys", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def action_scroll(self, direction: str) -> None:
        """Scroll by a line."""
        body = self.query_one("#help-body", VerticalScroll)
        (body.scroll_down if direction == "down" else body.scroll_up)(animate=False)

    def _key_lines(self) -> Text:
        text = Text("Keys\n", style="bold")
        for key, name, tooltip in (*self._keys, *_EVERYWHERE):
            text.append(f"  {key:<12}", style=rich_colour(self.app, "accent"))
            text.append(f"{name:<14}", style="not bold")
            text.append(f"{tooltip}\n", style=f"not bold {rich_colour(self.app, 'secondary')}")
        return text


def keys_shown_by(screen: Screen[Any]) -> list[KeyRow]:
    """The keys that do something on a screen now."""
    return [
        (screen.app.get_key_display(active.binding), active.binding.description, active.tooltip)
        for active in screen.active_bindings.values()
        if active.tooltip and active.enabled
    ]


def page_text(page: str) -> str:
    """The Markdown of a page of help, with the objectives that there are filled in."""
    text = (_PAGES / f"{page}.md").read_text(encoding="utf-8")
    titles = (f"* **{objective.title}**: {objective.summary}" for objective in OBJECTIVES)
    text = text.replace("{titles}", "\n".join(titles))
    return text.replace("{objectives}", "\n".join(_objectives()))


def _objectives() -> Iterator[str]:
    """A line of each objective: its short form, and what it asks for."""
    for objective in sorted(OBJECTIVES, key=lambda objective: objective.limit is None):
        words = parse_budget(objective.example).in_words
        yield f"    {objective.example:<18}{words}"
    yield "    tokens<=2000 and score>=95%   two limits that hold together"
    yield "    score[aime25]>=0.6            a limit on one probe alone"
