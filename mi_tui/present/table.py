"""A column of a table: its titles, its cells, its CSV fields, and where it is shown."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Generic, Literal, TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.results import Estimate
from mi_tui.present.signs import RECOMMENDED

L = TypeVar("L")

Number = float | int | str | bool | None

_GAP = 2
"""Spaces between two columns of a table drawn with Rich."""


class Shown(Enum):
    """Where a column stands beside the report and the CSV file, which have all."""

    ALWAYS = "always"
    WITH_ROOM = "with room"
    REPORT = "report"


class Section(StrEnum):
    """The tables of the report; the value is the heading."""

    RECIPES = "Every recipe"
    SAMPLES = "Several samples of a problem"
    LENGTHS = "Lengths and latency"


@dataclass(frozen=True, slots=True)
class Field(Generic[L]):
    """A field of the CSV file: its name, and its value in full precision."""

    name: str
    value: Callable[[L], Number]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[L]):
    """A column of a table with lines of the type ``L``.

    ``text`` is a cell as the report, and a table with room for it, show it; ``brief`` the cell of
    a narrow table (default: the same). ``width`` and ``brief_width`` are the characters they
    need at most. ``title`` and ``short`` are the titles that go with them. ``order`` is what
    sorting looks at. ``spoken`` is the cell without signs, for lines that are read aloud.
    """

    id: str
    title: str
    help: str
    text: Callable[[L], str]
    width: int
    short: str = ""
    brief: Callable[[L], str] | None = None
    brief_width: int = 0
    spoken: Callable[[L], str] | None = None
    order: Callable[[L], float] = lambda _: 0.0
    fields: tuple[Field[L], ...] = ()
    align: Literal["left", "right"] = "right"
    shown: Shown = Shown.ALWAYS
    section: Section = Section.RECIPES


@dataclass(frozen=True, slots=True)
class Fitted(Generic[L]):
    """A column as one table shows it: in full, or brief."""

    column: Column[L]
    brief: bool = False

    @property
    def id(self) -> str:
        """The column's id."""
        return self.column.id

    @property
    def title(self) -> str:
        """The title for the room there is."""
        return (self.column.short if self.brief else "") or self.column.title

    @property
    def width(self) -> int:
        """The characters of the widest cell, the title among them."""
        needed = (self.column.brief_width if self.brief else 0) or self.column.width
        return max(needed, len(self.title))

    def text(self, line: L) -> str:
        """The cell of a line."""
        cell = self.column.brief if self.brief and self.column.brief else self.column.text
        return cell(line)


def fit(columns: Sequence[Column[L]], room: int, gap: int = 1) -> tuple[Fitted[L], ...]:
    """The columns for which there is room, ``gap`` spaces apart.

    All are shown in full where they fit, else brief: those that are always shown, and as many of
    the others as fit beside them, in their order.
    """
    wanted = [column for column in columns if column.shown is not Shown.REPORT]
    full = [Fitted(column) for column in wanted]
    if sum(one.width + gap for one in full) <= room:
        return tuple(full)
    brief = [Fitted(column, brief=True) for column in wanted]
    chosen = [one for one in brief if one.column.shown is Shown.ALWAYS]
    left = room - sum(one.width + gap for one in chosen)
    for one in brief:
        if one.column.shown is Shown.WITH_ROOM:
            left -= one.width + gap
            if left >= 0:
                chosen.append(one)
    return tuple(chosen)


def interval(name: str, estimate: Callable[[L], Estimate | None]) -> tuple[Field[L], ...]:
    """The three CSV fields of an estimate: NAME, NAME_low and NAME_high; empty without one."""

    def part(end: str) -> Callable[[L], Number]:
        def value(line: L) -> Number:
            found = estimate(line)
            return None if found is None else float(getattr(found, end))

        return value

    ends = (("", "value"), ("_low", "low"), ("_high", "high"))
    return tuple(Field(name + suffix, part(end)) for suffix, end in ends)


def drawn(
    columns: Sequence[Column[L]],
    lines: Iterable[L],
    room: int,
    mark: Callable[[L], str] = lambda _: "",
) -> Table:
    """A table for a terminal ``room`` columns wide.

    Args:
        columns: the columns, of which those are drawn that fit.
        lines: what the cells are made of.
        room: the terminal's width.
        mark: a sign before the first cell of a line; the recommended line is bold.
    """
    listed = list(lines)
    marks = [mark(line) for line in listed]
    marked = any(marks)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    shown = fit(columns, room, _GAP)
    for number, one in enumerate(shown):
        title = "  " + one.title if marked and number == 0 else one.title
        # The name of a recipe is there to be told from the others: folded, never cut.
        table.add_column(title, justify=one.column.align, no_wrap=number > 0, overflow="fold")
    for line, sign in zip(listed, marks, strict=True):
        first, *rest = (one.text(line) for one in shown)
        cells = [f"{sign or ' '} {first}" if marked else first, *rest]
        table.add_row(*(Text(cell) for cell in cells), style="bold" if sign == RECOMMENDED else "")
    return table
