"""Tinted areas behind a plot, two to a character cell: zones of the x axis, bands of curves."""

import math

from textual.color import Color

from mi_tui.tui.widgets.quiet_plot import QuietCanvas

_ZONE, _BAND = 0.12, 0.25
"""How much of its colour a zone and a band take on."""


class Shades:
    """Collects areas and puts them on a canvas that has been drawn.

    Colours are blended from the ground up. Where they are the terminal's own nothing can be
    blended: zones are left out, bands are drawn with ``░``.

    Args:
        width, height: of the canvas, in cells.
        ground: the colour of its background; empty where colours are the terminal's own.
    """

    def __init__(self, width: int, height: int, ground: str) -> None:
        self._width, self._height = width, height
        self._ground = Color.parse(ground) if ground else None
        self._halves: dict[tuple[int, int], Color] = {}

    def zone(self, left: int, right: int, colour: str) -> None:
        """A breath of a colour behind columns, ``right`` excluded."""
        if self._ground is not None:
            for x in range(max(1, left), right):
                self._blend(x, range(2 * self._height), colour, _ZONE)

    def column(self, x: int, top: float, bottom: float, colour: str) -> None:
        """A colour behind a part of one column, in lines of the canvas and their fractions."""
        first, last = (math.floor(2 * end + 1) for end in (top, bottom))
        self._blend(x, range(first, last + 1), colour, _BAND)

    def put_on(self, canvas: QuietCanvas) -> None:
        """Draw what was collected behind what the canvas shows."""
        backgrounds: dict[int, list[str]] = {}
        for x, y in sorted({(x, half // 2) for x, half in self._halves}):
            upper, lower = self._halves.get((x, 2 * y)), self._halves.get((x, 2 * y + 1))
            blank = canvas.is_blank(x, y)
            if self._ground is None:
                if blank and (colour := upper or lower):
                    canvas.set_pixel(x, y, "░", style=colour.rich_color.name)
                continue
            above, below = upper or self._ground, lower or self._ground
            if above != below and blank:
                canvas.set_pixel(x, y, "▀", style=above.hex6)
            elif above != below:
                below = above.blend(below, 0.5)
            backgrounds.setdefault(y, [""] * self._width)[x] = below.hex6
        canvas.shade(backgrounds)

    def _blend(self, x: int, halves: range, colour: str, share: float) -> None:
        if not 0 < x < self._width - 1:
            return
        wanted = Color.parse(colour)
        for half in halves:
            if 2 <= half < 2 * (self._height - 1):
                base = self._halves.get((x, half), self._ground)
                self._halves[x, half] = wanted if base is None else base.blend(wanted, share)
