"""A plot that sends only the lines that changed, and can give its cells a background.

textual-plot repaints itself whole at every change: 24 to 33 kB over SSH. Here the canvases
compare what they hold with what they sent last.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Self

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Grid
from textual.geometry import Region
from textual.strip import Strip
from textual_hires_canvas import Canvas
from textual_plot import PlotWidget
from textual_plot.plot_widget import Legend

Backgrounds = Mapping[int, Sequence[str]]
"""For some lines of a canvas the background of each column, as ``#rrggbb``; empty for none."""


class QuietCanvas(Canvas):
    """Refreshes the lines that differ from what was drawn before."""

    def __init__(self, *, id: str) -> None:
        super().__init__(1, 1, id=id)
        self._sent: list[object] = []
        self._waiting = False
        self._backgrounds: Backgrounds = {}

    def shade(self, backgrounds: Backgrounds) -> None:
        """Give cells a background of their own."""
        self._backgrounds = backgrounds
        self.refresh()

    def is_blank(self, x: int, y: int) -> bool:
        """Whether nothing is drawn in a cell."""
        return self.get_pixel(x, y)[0] == " "

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        """Refresh at once what is asked for by region, else what has changed."""
        if regions or layout or recompose or not repaint or not self.is_mounted:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        if not self._waiting and not self._refreshes_pending:
            self._waiting = True
            self.call_next(self._send_changes)
        return self

    def render_line(self, y: int) -> Strip:
        """The canvas's line over its backgrounds."""
        strip = _styled(super().render_line(y))
        backgrounds = self._backgrounds.get(y)
        if not backgrounds:
            return strip
        strip = strip.adjust_cell_length(len(backgrounds), self.rich_style)
        parts, left = [], 0
        for background, columns in groupby(backgrounds):
            right = left + len(list(columns))
            part = strip.crop(left, right)
            if background:
                style = Style(bgcolor=Color.parse(background))
                part = Strip(Segment.apply_style(part, post_style=style), right - left)
            parts.append(part)
            left = right
        return _styled(Strip.join(parts))

    def _send_changes(self) -> None:
        self._waiting = False
        look = (str(self.rich_style), self._canvas_size)
        lines: list[object] = [
            (look, tuple(text), tuple(styles), tuple(self._backgrounds.get(y, ())))
            for y, (text, styles) in enumerate(zip(self._buffer, self._styles, strict=True))
        ]
        if len(lines) != len(self._sent):
            super().refresh()
        else:
            width = self._canvas_size.width
            changed = [
                Region(0, y, width, 1)
                for y, (new, old) in enumerate(zip(lines, self._sent, strict=True))
                if new != old
            ]
            if changed:
                super().refresh(*changed)
        self._sent = lines


class QuietPlot(PlotWidget, can_focus=False):
    """A plot without keys, mouse or legend box, over quiet canvases."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, allow_pan_and_zoom=False)
        self._drawing = False

    def compose(self) -> ComposeResult:
        """As in textual-plot, with other canvases."""
        with Grid():
            yield QuietCanvas(id="margin-top")
            yield QuietCanvas(id="margin-left")
            yield QuietCanvas(id="plot")
            yield QuietCanvas(id="margin-bottom")
        yield Legend(id="legend")

    def _rerender(self) -> None:
        """Draw into the canvases, which then send what changed; repaint nothing here."""
        self._needs_rerender = True
        if not self._drawing and self.is_mounted:
            self._drawing = True
            self.call_next(self._draw_quietly)

    def _draw_quietly(self) -> None:
        self._drawing = False
        if self.query("#plot"):
            self.render()


def _styled(strip: Strip) -> Strip:
    """The strip with a style in every segment, without which NO_COLOR's filter fails."""
    segments = [Segment(text, style or Style.null()) for text, style, _ in strip if text]
    return Strip(segments, strip.cell_length)
