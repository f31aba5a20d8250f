"""One full example of each probe, as the model will see it, before anything runs."""

from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static

from mi_tui.errors import MiTuiError
from mi_tui.plan.preset import Preset
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.studies.services import Services


class ExampleScreen(Dialog[None]):
    """The first problem of every probe of a preset; a probe may have to be downloaded first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,q,enter",
            "dismiss",
            "Close",
            id="example.close",
            key_display="esc",
            tooltip="Close the examples",
        ),
        Binding(
            "j", "scroll('down')", "Down", show=False, id="example.down", tooltip="Scroll down"
        ),
        Binding("k", "scroll('up')", "Up", show=False, id="example.up", tooltip="Scroll up"),
    ]

    def __init__(self, preset: Preset, services: Services) -> None:
        super().__init__()
        self._preset = preset
        self._services = services
        self._thread = Background("examples")
        self._done: list[Text] = []

    def compose(self) -> ComposeResult:
        """What was prepared so far, and what is being prepared."""
        with VerticalScroll(id="example-body"):
            yield Static("", id="examples", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to prepare the examples."""
        start(self, self._prepare)

    def on_unmount(self) -> None:
        """Let the thread end."""
        self._thread.close()

    def action_scroll(self, direction: str) -> None:
        """Scroll by a line."""
        body = self.query_one("#example-body", VerticalScroll)
        (body.scroll_down if direction == "down" else body.scroll_up)(animate=False)

    async def _prepare(self) -> None:
        pair = self._preset.pair
        for plan in self._preset.probes:
            name = plan.name or plan.kind
            self._show(Text(f"Preparing {name} …", rich_colour(self.app, "secondary")))
            try:
                example = await self._thread.run(partial(self._services.example, pair, plan))
            except MiTuiError as error:
                shown = Text(f"✗ {name}: {error}", rich_colour(self.app, "error"))
            else:
                shown = self._styled(example)
            if not is_open(self):
                return
            self._done.append(shown)
        self._show()

    def _styled(self, example: str) -> Text:
        heading, _, rest = example.partition("\n")
        return Text.assemble((heading, f"bold {rich_colour(self.app, 'accent')}"), "\n", rest)

    def _show(self, waiting: Text | None = None) -> None:
        parts = [*self._done, *([waiting] if waiting else [])]
        self.query_one("#examples", Static).update(Text("\n\n").join(parts))
