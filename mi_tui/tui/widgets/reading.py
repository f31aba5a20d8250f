"""A response to read: verdict, folded thinking, answer, as plain text."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from mi_tui.present import numbers
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.studies.responses import Response


class Reading(VerticalScroll):
    """Shows one response at a time; the thinking is folded until it is asked for."""

    def __init__(self, title: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._response: Response | None = None
        self._unfolded = False

    def compose(self) -> ComposeResult:
        """One block of text."""
        yield Static("", classes="reading", markup=False)

    def on_mount(self) -> None:
        """Show what was given before the widget was there."""
        self._draw()

    def show(self, response: Response | None, *, unfolded: bool) -> None:
        """Show a response."""
        other = response is not self._response
        if other or unfolded != self._unfolded:
            self._response, self._unfolded = response, unfolded
            if self.is_mounted:
                self._draw()
                if other:
                    self.scroll_home(animate=False)

    def _draw(self) -> None:
        self.query_one(Static).update(self._text())

    def _text(self) -> Text:
        response = self._response
        text = Text(self._title, style="bold")
        if response is None:
            return text
        colour = "success" if response.is_right else "error"
        if self._title:
            text.append("\n")
        text.append(f"{response.sign} {response.verdict}", f"bold {rich_colour(self.app, colour)}")
        text.append(f" · {response.tokens:,} tokens", "not bold")
        if response.extracted:
            text.append(f" · answer {response.extracted}", "not bold")
        text.append("\n\n")
        if response.thinking is not None:
            text.append_text(self._thinking(response.thinking))
        text.append(response.answer or "(no answer)", "not bold")
        return text

    def _thinking(self, thinking: str) -> Text:
        colour = rich_colour(self.app, "secondary")
        if not self._unfolded:
            size = numbers.count(len(thinking.split()))
            return Text(f"▸ thinking, {size} words (t unfolds)\n\n", f"not bold {colour}")
        return Text.assemble(
            ("▾ thinking\n", f"not bold {colour}"),
            (f"{thinking}\n\n", f"not bold italic {colour}"),
        )
