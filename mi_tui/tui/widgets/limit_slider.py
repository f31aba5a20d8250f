"""A slider for the budget's limit, from tight to loose."""

from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from mi_tui.plan.budget import Budget
from mi_tui.present.budget_limits import moved
from mi_tui.tui.runtime.colours import rich_colour

_LEAST, _MOST = 12, 48
"""Columns of the line."""


class LimitSlider(Widget):
    """Shows a budget's limit among those worth asking for; empty while there are none."""

    @dataclass
    class Moved(Message):
        """Another limit is wanted."""

        limit: float

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._limits: tuple[float, ...] = ()
        self._budget: Budget | None = None

    def show(self, budget: Budget, limits: tuple[float, ...]) -> None:
        """Show a budget among these limits."""
        if (budget, limits) != (self._budget, self._limits):
            self._budget, self._limits = budget, limits
            self.refresh()

    def move(self, by: int) -> None:
        """Ask for the next limit, looser with a positive ``by``."""
        if self._limits and self._budget is not None and self._budget.limit is not None:
            wanted = moved(self._limits, self._budget.limit, by)
            if wanted != self._budget.limit:
                self.post_message(self.Moved(wanted))

    def on_click(self, event: events.Click) -> None:
        """Ask for the limit that was clicked."""
        if self._limits:
            width, start = self._columns, len("Limit ◂ ")
            share = min(max((event.x - start) / max(width - 1, 1), 0.0), 1.0)
            wanted = self._limits[round(share * (len(self._limits) - 1))]
            self.post_message(self.Moved(wanted))

    def render(self) -> Text:
        """The line with its knob, and the limits at its ends."""
        secondary = rich_colour(self.app, "secondary")
        budget, limits = self._budget, self._limits
        if budget is None or budget.limit is None or not limits:
            return Text(budget.in_words if budget else "", style=secondary)
        below = sum(limit <= budget.limit for limit in limits) - 1
        knob = round(max(below, 0) / max(len(limits) - 1, 1) * (self._columns - 1))
        return Text.assemble(
            ("Limit ", secondary),
            ("◂ ", rich_colour(self.app, "accent")),
            ("━" * knob, rich_colour(self.app, "primary")),
            ("●", f"bold {rich_colour(self.app, 'primary')}"),
            ("─" * (self._columns - knob - 1), secondary),
            (" ▸ ", rich_colour(self.app, "accent")),
            (budget.spec, "bold"),
            (f"   {limits[0]:g} … {limits[-1]:g}", secondary),
            no_wrap=True,
            overflow="ellipsis",
        )

    @property
    def _columns(self) -> int:
        return min(max(self.size.width - 46, _LEAST), _MOST)
