"""Compact form controls drawn as text: one of several, several of several.

Arrow keys move, Space chooses. Enter is left to the screen, where it means the next step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Option(Generic[V]):
    """One thing to choose: its value, its name on screen, and what it means."""

    value: V
    label: str
    hint: str = ""


class _Options(Widget, Generic[V], can_focus=True):
    """Options, ``per_line`` of them in a line, with a cursor when focused."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "option--on",
        "option--off",
        "option--cursor",
        "option--hint",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "right",
            "move(1)",
            "Next",
            show=False,
            id="option.next",
            tooltip="Move to the next option",
        ),
        Binding(
            "left",
            "move(-1)",
            "Previous",
            show=False,
            id="option.previous",
            tooltip="Move to the previous option",
        ),
        Binding(
            "down",
            "move_line(1)",
            "Below",
            show=False,
            id="option.below",
            tooltip="Move to the option below; in a single line to the next",
        ),
        Binding(
            "up",
            "move_line(-1)",
            "Above",
            show=False,
            id="option.above",
            tooltip="Move to the option above; in a single line to the previous",
        ),
        Binding(
            "space",
            "choose",
            "Choose",
            show=False,
            id="option.choose",
            tooltip="Choose the option under the cursor",
        ),
    ]
    MARKS: ClassVar[tuple[str, str]] = ("( )", "(•)")

    def __init__(
        self, options: Sequence[Option[V]], *, id: str, per_line: int | None = None
    ) -> None:
        super().__init__(id=id, classes="-vertical" if per_line == 1 else "")
        self._options = tuple(options)
        self._per_line = per_line or len(self._options)
        self._cursor = 0

    def is_on(self, option: Option[V]) -> bool:
        """Whether the option is chosen."""
        raise NotImplementedError

    def choose(self, option: Option[V]) -> None:
        """Choose or unchoose the option."""
        raise NotImplementedError

    def render(self) -> Text:
        """All options; the cursor shows only under focus."""
        text = Text(no_wrap=True, overflow="ellipsis")
        widest = max(len(option.label) for option in self._options)
        in_columns = self._per_line < len(self._options)
        for index, option in enumerate(self._options):
            if index:
                text.append("  " if index % self._per_line else "\n")
            text.append_text(self.drawn(index, option, widest if in_columns else 0))
        return text

    def offer(self, options: Sequence[Option[V]]) -> None:
        """Show other options; what is chosen stays chosen, shown or not."""
        self._options = tuple(options)
        self._cursor = min(self._cursor, len(self._options) - 1)
        self.refresh(layout=True)

    def drawn(self, index: int, option: Option[V], width: int) -> Text:
        """One option with its mark; ``width`` pads its name."""
        on = self.is_on(option)
        style = self.get_component_rich_style("option--on" if on else "option--off", partial=True)
        if self.has_focus and index == self._cursor:
            style += self.get_component_rich_style("option--cursor", partial=True)
        drawn = Text(f"{self.MARKS[on]} {option.label}", style=style)
        drawn.append(" " * (width - len(option.label)))
        if option.hint:
            hint = self.get_component_rich_style("option--hint", partial=True)
            drawn.append("  " + option.hint, style=hint)
        drawn.stylize(Style(meta={"option": index}))
        return drawn

    def action_move(self, by: int) -> None:
        """Move the cursor, round the ends."""
        self._cursor = (self._cursor + by) % len(self._options)
        self.refresh()

    def action_move_line(self, by: int) -> None:
        """Move the cursor to the line below or above, round the ends of its column."""
        if self._per_line >= len(self._options):
            self.action_move(by)
            return
        column = range(self._cursor % self._per_line, len(self._options), self._per_line)
        here = column.index(self._cursor)
        self.action_move(column[(here + by) % len(column)] - self._cursor)

    def action_choose(self) -> None:
        """Choose the option under the cursor."""
        self.choose(self._options[self._cursor])
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose the option that was clicked."""
        index = event.style.meta.get("option")
        if isinstance(index, int):
            self._cursor = index
            self.action_choose()

    def on_focus(self) -> None:
        """Draw the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Take the cursor away."""
        self.refresh()


class Choice(_Options[V]):
    """One of several; moving the cursor chooses at once."""

    @dataclass
    class Changed(Message):
        """Another option was chosen."""

        choice: "Choice[object]"
        value: object

        @property
        def control(self) -> "Choice[object]":
            """The choice, for ``@on`` selectors."""
            return self.choice

    def __init__(
        self, options: Sequence[Option[V]], value: V, *, id: str, per_line: int | None = None
    ) -> None:
        super().__init__(options, id=id, per_line=per_line)
        self._value = value
        self._cursor = next((i for i, o in enumerate(self._options) if o.value == value), 0)

    @property
    def value(self) -> V:
        """The chosen value."""
        return self._value

    def is_on(self, option: Option[V]) -> bool:
        """Whether the option is the chosen one."""
        return option.value == self._value

    def choose(self, option: Option[V]) -> None:
        """Make the option the chosen one."""
        if option.value != self._value:
            self._value = option.value
            self.post_message(self.Changed(self, option.value))  # type: ignore[arg-type]

    def action_move(self, by: int) -> None:
        """Move, and choose what is there."""
        super().action_move(by)
        self.action_choose()


class Checks(_Options[V]):
    """Any number of several; Space switches the one under the cursor."""

    MARKS = ("[ ]", "[x]")

    @dataclass
    class Changed(Message):
        """An option was switched."""

        checks: "Checks[object]"
        values: tuple[object, ...]

        @property
        def control(self) -> "Checks[object]":
            """The checks, for ``@on`` selectors."""
            return self.checks

    def __init__(
        self,
        options: Sequence[Option[V]],
        values: Iterable[V],
        *,
        id: str,
        per_line: int | None = None,
    ) -> None:
        super().__init__(options, id=id, per_line=per_line)
        self._values = set(values)
        self._order = tuple(option.value for option in options)

    @property
    def values(self) -> tuple[V, ...]:
        """What is switched on, in the order in which it was first offered."""
        return tuple(value for value in self._order if value in self._values)

    def is_on(self, option: Option[V]) -> bool:
        """Whether the option is switched on."""
        return option.value in self._values

    def choose(self, option: Option[V]) -> None:
        """Switch the option."""
        self._values ^= {option.value}
        self.post_message(self.Changed(self, self.values))  # type: ignore[arg-type]
