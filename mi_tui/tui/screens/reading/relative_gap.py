"""The relative gap σ of a pair, layer by layer and module by module."""

from functools import partial
from threading import Event
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static

from mi_tui.checkpoints.relative_gap import Gap
from mi_tui.errors import MiTuiError
from mi_tui.plan.pair import Pair
from mi_tui.present import numbers
from mi_tui.present.heat_map import sigma_map
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.studies.services import Services

_STEP = 0.01
"""The share of the bytes between two drawings of the progress."""


class SigmaScreen(Dialog[None]):
    """Reads the weights in a process of its own, then shows σ as a heat map; leaving cancels."""

    HELP_PAGE = "models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,q,enter",
            "dismiss",
            "Close",
            id="sigma.close",
            key_display="esc",
            tooltip="Close, and stop reading where it is not done",
        ),
        Binding("j", "scroll('down')", "Down", show=False, id="sigma.down", tooltip="Scroll down"),
        Binding("k", "scroll('up')", "Up", show=False, id="sigma.up", tooltip="Scroll up"),
    ]

    def __init__(self, pair: Pair, services: Services) -> None:
        super().__init__()
        self._pair = pair
        self._services = services
        self._thread = Background("σ")
        self._left = Event()
        self._drawn = -1.0
        self._ended = False

    def compose(self) -> ComposeResult:
        """What σ is, then the progress, later the map."""
        with VerticalScroll(id="sigma-body", classes="dialog"):
            yield Static("σ: how far apart the two are", classes="heading", markup=False)
            yield Static(
                "Σ|Instruct − Thinking| / (Σ|Instruct| + Σ|Thinking|). The closer, the better "
                "they mix: 0.027 for the paper's 4B pair, 0.06 from its base to either.",
                classes="dialog-about",
                markup=False,
            )
            yield Static("", id="sigma", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show what is known, or begin to measure."""
        known = self._services.known_gap(self._pair)
        if known is not None:
            self._show_gap(known)
        else:
            self._show(Text("Reading the weights …"))
            start(self, self._measure)

    def on_unmount(self) -> None:
        """End the process, and let the thread end."""
        self._left.set()
        self._thread.close()

    def action_scroll(self, direction: str) -> None:
        """Scroll by a line."""
        body = self.query_one("#sigma-body", VerticalScroll)
        (body.scroll_down if direction == "down" else body.scroll_up)(animate=False)

    async def _measure(self) -> None:
        try:
            gap = await self._thread.run(
                partial(self._services.measure_gap, self._pair, self._progress, self._left.is_set)
            )
        except MiTuiError as error:
            self._ended = True
            if is_open(self):
                self._show(Text(f"✗ {error}", rich_colour(self.app, "error")))
            return
        if is_open(self):
            self._show_gap(gap)

    def _progress(self, done: int, total: int) -> None:
        """Called from the measuring thread; draws only what can be seen."""
        share = done / max(total, 1)
        if share - self._drawn >= _STEP or done == total:
            self._drawn = share
            line = f"Reading the weights  {numbers.bar(share, 30)} {numbers.percent(share):>5}"
            if not self._left.is_set():
                self.app.call_later(self._show_if_open, Text(line))

    def _show_if_open(self, text: Text) -> None:
        if is_open(self) and not self._ended:
            self._show(text)

    def _show_gap(self, gap: Gap) -> None:
        self._ended = True
        accent, dim = (rich_colour(self.app, name) for name in ("accent", "secondary"))
        hint = Text("\nThe Scope step shades its map with these.", dim)
        self._show(Group(sigma_map(gap, accent, dim), hint))

    def _show(self, content: RenderableType) -> None:
        self.query_one("#sigma", Static).update(content)
