"""The results table: one recipe per line, redrawn line by line.

Textual's DataTable repaints whole on every cell (8 kB over SSH); this one sends what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from mi_tui.analysis.results import RecipeSummary
from mi_tui.present import numbers
from mi_tui.present.columns import COLUMNS, ResultLine, fitting, result_lines
from mi_tui.present.table import Fitted
from mi_tui.tui.studies.messages import ShowBreakdown, ShowLengths

_ROOMY = 92
"""Columns from which on two spaces part the cells."""


class ResultsTable(ScrollView, can_focus=True):
    """The recipes' measures, sorted by λ or by any other column."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "results--header",
        "results--cursor",
        "results--best",
        "results--sorted",
        "results--stage-1",
        "results--stage-2",
        "results--stage-3",
        "results--empty",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor(1)", "Down", show=False, id="table.down", tooltip="Next recipe"),
        Binding("up,k", "cursor(-1)", "Up", show=False, id="table.up", tooltip="Previous recipe"),
        Binding(
            "home,g", "cursor_to(0)", "First", show=False, id="table.first", tooltip="First recipe"
        ),
        Binding(
            "end,G", "cursor_to(-1)", "Last", show=False, id="table.last", tooltip="Last recipe"
        ),
        Binding(
            "o", "sort", "Sort", show=False, id="table.sort", tooltip="Sort by the next column"
        ),
        Binding(
            "b",
            "breakdown",
            "Break down",
            show=False,
            id="table.breakdown",
            tooltip="The table of each probe and stratum, and the problems that flip",
        ),
        Binding(
            "d",
            "lengths",
            "Lengths",
            show=False,
            id="table.lengths",
            tooltip="The distribution of lengths of every λ, with thinking and without",
        ),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor stands on another recipe."""

        row: RecipeSummary

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: tuple[ResultLine, ...] = ()
        self._selected: str | None = None
        self._sort = COLUMNS[0].id
        self._lines: list[str] = []
        self._follows = True

    def action_breakdown(self) -> None:
        """Ask for the results by probe and stratum."""
        self.post_message(ShowBreakdown())

    def action_lengths(self) -> None:
        """Ask for the distribution of lengths."""
        self.post_message(ShowLengths())

    @property
    def selected(self) -> RecipeSummary | None:
        """The recipe under the cursor."""
        found = (line.row for line in self._rows if line.row.recipe.key == self._selected)
        return next(found, None)

    @property
    def follows(self) -> bool:
        """Whether the cursor stays on the recommended recipe: until the user moves it."""
        return self._follows

    def show(self, rows: Sequence[RecipeSummary], best: str | None = None) -> None:
        """Show these recipes; ``best`` is the key of the recommended one.

        The cursor follows the recommended recipe until the user moves it.
        """
        self._rows = self._sorted(result_lines(rows, best))
        keys = self._keys()
        if self._follows and best in keys:
            self._select(keys.index(best))
        elif self.selected is None and self._rows:
            self._select(0)
        self._redraw()
        self._scroll_to_cursor()

    @property
    def _gap(self) -> str:
        return "  " if self.size.width >= _ROOMY else " "

    def columns(self) -> tuple[Fitted[ResultLine], ...]:
        """The columns for which there is room."""
        return fitting(self.size.width - 1, len(self._gap))

    def _keys(self) -> list[str]:
        return [line.row.recipe.key for line in self._rows]

    def get_content_height(self, _container: Size, _viewport: Size, _width: int) -> int:
        """The header and one line per recipe."""
        return 1 + max(1, len(self._rows))

    def render_line(self, y: int) -> Strip:
        """The header stays at the top; recipes scroll below it."""
        width = self.size.width
        if y == 0:
            return self._strip(self._header(), width)
        index = y - 1 + self.scroll_offset.y
        if index < len(self._rows):
            return self._strip(self._line(self._rows[index]), width)
        if not self._rows and index == 0:
            empty = Text(" No rollouts yet", style=self._style("empty"))
            return self._strip(empty, width)
        return Strip.blank(width, self.rich_style)

    def on_resize(self) -> None:
        """Columns come and go with the width."""
        self._lines = []
        self._redraw()
        self._scroll_to_cursor()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked recipe; on the header, sort by that column."""
        if event.y > 0:
            self.action_cursor_to(event.y - 1 + self.scroll_offset.y)
            return
        left = 1
        for column in self.columns():
            left += column.width + len(self._gap)
            if event.x < left:
                self._sort_by(column.id)
                return

    def action_cursor(self, by: int) -> None:
        """Move the cursor."""
        keys = self._keys()
        if keys:
            here = keys.index(self._selected) if self._selected in keys else 0
            self.action_cursor_to(min(max(here + by, 0), len(keys) - 1))

    def action_cursor_to(self, index: int) -> None:
        """Put the cursor on a line; -1 is the last."""
        if self._rows and index < len(self._rows):
            self._follows = False
            self._select(index % len(self._rows))
            self._redraw()
            self._scroll_to_cursor()

    def action_sort(self) -> None:
        """Sort by the next column."""
        keys = [column.id for column in self.columns()]
        here = keys.index(self._sort) if self._sort in keys else -1
        self._sort_by(keys[(here + 1) % len(keys)])

    def _sort_by(self, key: str) -> None:
        self._sort = key
        self._rows = self._sorted(self._rows)
        self._redraw()

    def _sorted(self, lines: Sequence[ResultLine]) -> tuple[ResultLine, ...]:
        """By the chosen column, the largest first; by recipe as tables have it everywhere."""
        natural = result_lines(
            [line.row for line in lines],
            next((line.row.recipe.key for line in lines if line.chosen), None),
        )
        if self._sort == COLUMNS[0].id:
            return tuple(natural)
        column = next(one for one in COLUMNS if one.id == self._sort)
        return tuple(sorted(natural, key=column.order, reverse=True))

    def _select(self, index: int) -> None:
        row = self._rows[index].row
        if row.recipe.key != self._selected:
            self._selected = row.recipe.key
            self.post_message(self.Highlighted(row))

    def _scroll_to_cursor(self) -> None:
        keys = self._keys()
        if self._selected in keys:
            # Two lines, since the header covers the first one of the window.
            region = Region(0, keys.index(self._selected), 1, 2)
            self.call_after_refresh(self.scroll_to_region, region, animate=False, force=True)

    def _redraw(self) -> None:
        """Refresh the lines whose text changed, the whole when lines came or went."""
        lines = [self._header().markup] + [
            self._line(line).markup + str(line.row.recipe.key == self._selected)
            for line in self._rows
        ]
        if len(lines) != len(self._lines):
            self.virtual_size = Size(self.size.width, len(lines))
            self.refresh(layout=True)
        else:
            top = self.scroll_offset.y
            for y, (new, old) in enumerate(zip(lines, self._lines, strict=True)):
                if new != old:
                    self.refresh(Region(0, y - top if y else 0, self.size.width, 1))
        self._lines = lines

    def _header(self) -> Text:
        line = Text(" ", style=self._style("header"), no_wrap=True)
        for column, width in self._widths():
            style = self._style("sorted") if column.id == self._sort else ""
            line.append(_aligned(column.title, column, width) + self._gap, style=style)
        return line

    def _line(self, shown: ResultLine) -> Text:
        style = "cursor" if shown.row.recipe.key == self._selected and self.has_focus else ""
        line = Text(shown.sign or " ", no_wrap=True)
        line.stylize(self._style("best"))
        for column, width in self._widths():
            text = column.text(shown)
            if column.id == COLUMNS[0].id and len(text) > width:
                text = shown.brief
            cell = _aligned(text, column, width)
            line.append(cell + self._gap, self._cell_style(shown, column))
        if style:
            line.pad_right(max(0, self.size.width - line.cell_len))
            line.stylize(self._style(style))
        return line

    def _cell_style(self, line: ResultLine, column: Fitted[ResultLine]) -> str:
        if column.id == "stage" and line.row.stage is not None:
            return self._style(f"stage-{line.row.stage}")
        if column.id == COLUMNS[0].id and line.chosen:
            return self._style("best")
        return ""

    def _widths(self) -> list[tuple[Fitted[ResultLine], int]]:
        """The columns with their widths, the first as wide as the rest leaves room."""
        first, *rest = self.columns()
        used = sum(column.width + len(self._gap) for column in rest) + len(self._gap) + 1
        width = min(max(self.size.width - used, 9), 28)
        return [(first, width), *((column, column.width) for column in rest)]

    def _style(self, part: str) -> str:
        return str(self.get_component_rich_style(f"results--{part}", partial=True))

    def _strip(self, text: Text, width: int) -> Strip:
        strip = Strip(text.render(self.app.console)).adjust_cell_length(width)
        return strip.apply_style(self.rich_style).simplify()

    def on_focus(self) -> None:
        """Show the cursor."""
        self._redraw()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self._redraw()


def _aligned(text: str, column: Fitted[ResultLine], width: int) -> str:
    """A cell's text, cut or filled to a width."""
    shown = numbers.cut(text, width)
    return shown.ljust(width) if column.column.align == "left" else shown.rjust(width)
