"""The results table: one recipe per line, redrawn line by line.

Textual's DataTable repaints whole on every cell (8 kB over SSH); this one sends what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from mi_tui.analysis.results import RecipeSummary
from mi_tui.tui.widgets.results_columns import (
    COLUMNS,
    MORE_COLUMNS,
    Column,
    aligned,
    order_of,
    with_decoding,
)

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
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor stands on another recipe."""

        row: RecipeSummary

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: tuple[RecipeSummary, ...] = ()
        self._several_decodings = False
        self._best: str | None = None
        self._selected: str | None = None
        self._sort = "lambda"
        self._lines: list[str] = []
        self._follows = True

    @property
    def selected(self) -> RecipeSummary | None:
        """The recipe under the cursor."""
        return next((r for r in self._rows if r.recipe.key == self._selected), None)

    @property
    def follows(self) -> bool:
        """Whether the cursor stays on the recommended recipe: until the user moves it."""
        return self._follows

    def show(self, rows: Sequence[RecipeSummary], best: str | None = None) -> None:
        """Show these recipes; ``best`` is the key of the recommended one.

        The cursor follows the recommended recipe until the user moves it.
        """
        self._rows = self._sorted(rows)
        self._several_decodings = len({row.recipe.decoding for row in rows}) > 1
        self._best = best
        keys = [row.recipe.key for row in self._rows]
        if self._follows and best in keys:
            self._select(keys.index(best))
        elif self.selected is None and self._rows:
            self._select(0)
        self._redraw()
        self._scroll_to_cursor()

    @property
    def _gap(self) -> str:
        return "  " if self.size.width >= _ROOMY else " "

    def columns(self) -> tuple[Column, ...]:
        """The columns for which there is room."""
        used = sum(column.width + len(self._gap) for column in COLUMNS)
        shown = list(COLUMNS)
        for column in MORE_COLUMNS:
            used += column.width + len(self._gap)
            if used <= self.size.width:
                shown.append(column)
        return tuple(shown)

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
                self._sort_by(column.key)
                return

    def action_cursor(self, by: int) -> None:
        """Move the cursor."""
        keys = [row.recipe.key for row in self._rows]
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
        keys = [column.key for column in self.columns()]
        here = keys.index(self._sort) if self._sort in keys else -1
        self._sort_by(keys[(here + 1) % len(keys)])

    def _sort_by(self, key: str) -> None:
        self._sort = key
        self._rows = self._sorted(self._rows)
        self._redraw()

    def _sorted(self, rows: Sequence[RecipeSummary]) -> tuple[RecipeSummary, ...]:
        column = next(c for c in COLUMNS + MORE_COLUMNS if c.key == self._sort)
        by_lambda = sorted(
            rows,
            key=lambda r: (not r.recipe.is_uniform, order_of(r.recipe.lambda_), r.recipe.label),
        )
        if self._sort == "lambda":
            return tuple(by_lambda)
        return tuple(sorted(by_lambda, key=column.order, reverse=True))

    def _select(self, index: int) -> None:
        row = self._rows[index]
        if row.recipe.key != self._selected:
            self._selected = row.recipe.key
            self.post_message(self.Highlighted(row))

    def _scroll_to_cursor(self) -> None:
        keys = [row.recipe.key for row in self._rows]
        if self._selected in keys:
            # Two lines, since the header covers the first one of the window.
            region = Region(0, keys.index(self._selected), 1, 2)
            self.call_after_refresh(self.scroll_to_region, region, animate=False, force=True)

    def _redraw(self) -> None:
        """Refresh the lines whose text changed, the whole when lines came or went."""
        lines = [self._header().markup] + [
            self._line(row).markup + str(row.recipe.key == self._selected) for row in self._rows
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
        for column in self._fitted():
            title = column.title
            style = self._style("sorted") if column.key == self._sort else ""
            line.append(aligned(title, column) + self._gap, style=style)
        return line

    def _line(self, row: RecipeSummary) -> Text:
        best = row.recipe.key == self._best
        style = "cursor" if row.recipe.key == self._selected and self.has_focus else ""
        line = Text("▸" if best else " ", no_wrap=True)
        line.stylize(self._style("best"))
        for column in self._fitted():
            line.append(
                aligned(column.cell(row), column) + self._gap, self._cell_style(row, column)
            )
        if style:
            line.pad_right(max(0, self.size.width - line.cell_len))
            line.stylize(self._style(style))
        return line

    def _cell_style(self, row: RecipeSummary, column: Column) -> str:
        if column.key == "stage" and row.stage is not None:
            return self._style(f"stage-{row.stage}")
        if column.key == "lambda" and row.recipe.key == self._best:
            return self._style("best")
        return ""

    def _fitted(self) -> tuple[Column, ...]:
        """The columns, the first as wide as the rest leaves room."""
        first, *rest = self.columns()
        used = sum(column.width + len(self._gap) for column in rest) + len(self._gap) + 1
        width = min(max(self.size.width - used, 9), 28)
        if self._several_decodings:
            first = replace(first, title="Recipe T/top-p", cell=with_decoding)
        return (replace(first, width=width), *rest)

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
