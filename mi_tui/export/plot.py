"""Small line plots as SVG: curves with bands over λ, and points of score against tokens."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from mi_tui.analysis.results import Estimate
from mi_tui.export.plot_labels import Placed, place_labels
from mi_tui.text.percent import percent

_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 12, 34
_LABEL = 10.0
"""The room of a character of a reference line's label on a narrow screen, where it is largest."""


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: its name, CSS class, x values and estimates; points are drawn with bars.

    ``triangles`` draws points as such, to tell them from others without a colour.

    ``rows`` are the table's rows that points belong to, and ``tips`` what is said of each point.
    """

    name: str
    css: str
    x: Sequence[float]
    y: Sequence[Estimate]
    points: bool = False
    rows: Sequence[int] = ()
    tips: Sequence[str] = ()
    triangles: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with its axes.

    ``vertical`` and ``horizontal`` are reference lines (the recommended λ, the limit), each
    with a label. ``marks`` are labels beside points: x, y, label and the table's row; one that
    would cover another is hidden. ``hover`` says what the curves are at an x. Axes start at 0
    and end at a round number behind the last value, or at ``right`` and ``top``.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    top: float | None = None
    right: float | None = None
    percent: bool = False
    vertical: tuple[tuple[float, str], ...] = ()
    horizontal: tuple[tuple[float, str], ...] = ()
    marks: tuple[tuple[float, float, str, int], ...] = field(default=())
    hover: tuple[tuple[float, str], ...] = ()

    def svg(self) -> Markup:
        """The plot as an SVG element; its text is escaped."""
        right = self.right or round_up(max((x for s in self.series for x in s.x), default=1.0))
        highest = max((e.high for s in self.series for e in s.y), default=1.0)
        top = self.top or round_up(max([highest, *(y for y, _ in self.horizontal)]))
        scale = _Scale(right, top)
        parts = [
            Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" data-hover="{}">').format(
                _WIDTH, _HEIGHT, self.title, self._stops(scale)
            ),
            *self._axes(scale),
            *(line for y, label in self.horizontal for line in _reference(scale, label, y=y)),
            *(line for x, label in self.vertical for line in _reference(scale, label, x=x)),
            *(part for series in self.series for part in _drawn(scale, series)),
            *self._labels(scale),
            Markup("</svg>"),
        ]
        return Markup("\n").join(parts)

    def _stops(self, scale: "_Scale") -> str:
        """What is said at which x of the picture, as JSON."""
        return json.dumps([[round(scale.x(x), 1), words] for x, words in self.hover])

    def _labels(self, scale: "_Scale") -> list[Markup]:
        points = [(scale.x(x), scale.y(y), label) for x, y, label, _ in self.marks]
        template = Markup(
            '<text class="{}" data-row="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
        )
        found = []
        for place, (x, y, text), (*_, row) in zip(
            place_labels(points, _WIDTH, _HEIGHT - _BOTTOM, self._bars(scale)),
            points,
            self.marks,
            strict=True,
        ):
            shown = place or Placed(x, y, "start", text)
            css = "mark" if place else "mark no-room"
            found.append(template.format(css, row, shown.x, shown.y, shown.anchor, shown.text))
        return found

    def _bars(self, scale: "_Scale") -> list[tuple[float, float, float]]:
        return [
            (scale.x(x), scale.y(y.high), scale.y(y.low))
            for series in self.series
            if series.points
            for x, y in zip(series.x, series.y, strict=True)
        ]

    def _axes(self, scale: "_Scale") -> list[Markup]:
        bottom, left = scale.y(0), scale.x(0)
        parts = [_line("axis", left, bottom, scale.x(scale.right), bottom)]
        for step in range(6):
            x, y = scale.right * step / 5, scale.top * step / 5
            parts.append(_text(scale.x(x), bottom + 15, _number(x), "middle"))
            parts.append(_line("grid", left, scale.y(y), scale.x(scale.right), scale.y(y)))
            label = percent(y) if self.percent else _number(y)
            parts.append(_text(left - 6, scale.y(y) + 4, label, "end"))
        parts.append(_text((left + scale.x(scale.right)) / 2, _HEIGHT - 4, self.x_label, "middle"))
        return parts


def round_up(value: float) -> float:
    """The end of an axis: five round steps that reach a value."""
    if value < 1e-300:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value / 5))
    step = next(
        power * factor for factor in (1, 2, 3, 4, 5, 6, 8, 10) if 5 * power * factor >= value
    )
    return 5 * step


@dataclass(frozen=True, slots=True)
class _Scale:
    right: float
    top: float

    def x(self, value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(value / self.right, 1.0)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * max(0, min(value / self.top, 1.0))


def _drawn(scale: _Scale, series: Series) -> list[Markup]:
    if series.points:
        return [_point(scale, series, place) for place in range(len(series.x))]
    upper = [(x, e.high) for x, e in zip(series.x, series.y, strict=True)]
    lower = [(x, e.low) for x, e in zip(series.x, series.y, strict=True)]
    middle = [(x, e.value) for x, e in zip(series.x, series.y, strict=True)]
    return [
        Markup('<polygon class="band {}" points="{}"/>').format(
            series.css, _path(scale, upper + lower[::-1])
        ),
        Markup('<polyline class="curve {}" points="{}"/>').format(series.css, _path(scale, middle)),
    ]


def _point(scale: _Scale, series: Series, place: int) -> Markup:
    estimate, at = series.y[place], scale.x(series.x[place])
    bar = _line(f"bar {series.css}", at, scale.y(estimate.low), at, scale.y(estimate.high))
    drawn = bar + _mark(series, at, scale.y(estimate.value))
    tip = Markup("<title>{}</title>").format(series.tips[place]) if series.tips else Markup("")
    row = Markup(' data-row="{}"').format(series.rows[place]) if series.rows else Markup("")
    return Markup('<g class="point"{}>{}{}</g>').format(row, tip, drawn)


def _mark(series: Series, x: float, y: float) -> Markup:
    if not series.triangles:
        circle = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>')
        return circle.format(series.css, x, y)
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in ((-4, 3.5), (4, 3.5), (0, -4.5)))
    return Markup('<polygon class="{}" points="{}"/>').format(series.css, corners)


def _reference(
    scale: _Scale, label: str, x: float | None = None, y: float | None = None
) -> list[Markup]:
    if x is not None:
        at = scale.x(x)
        left = at + 4 + _LABEL * len(label) > _WIDTH  # no room to the right of the line
        return [
            _line("reference", at, scale.y(0), at, scale.y(scale.top)),
            _text(at + (-4 if left else 4), scale.y(0) - 6, label, "end" if left else "start"),
        ]
    at = scale.y(y or 0.0)
    return [
        _line("reference", scale.x(0), at, scale.x(scale.right), at),
        _text(scale.x(0) + 4, at - 4, label, "start"),
    ]


def _path(scale: _Scale, points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)


def _line(css: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    template = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return template.format(css, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    template = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return template.format(x, y, anchor, escape(text))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
