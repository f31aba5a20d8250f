"""The plot of score, length and think ratio over λ, on one axis from 0 to 100 %."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.text import Text
from textual_plot import HiResMode
from textual_plot.axis_formatter import NumericAxisFormatter

from mi_tui.analysis.results import (
    Curve,
    Estimate,
    RecipeSummary,
    Recommendation,
    Stage,
    StageLimits,
)
from mi_tui.plan.budget import Budget
from mi_tui.plan.preset import Preset
from mi_tui.present import numbers, signs
from mi_tui.study.view import StudyView
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.widgets.quiet_plot import QuietCanvas, QuietPlot
from mi_tui.tui.widgets.shades import Shades

MARKERS = {"score": "●", "tokens": "◆", "think": "▲"}
"""One marker per curve, so that colour is never needed to tell them apart."""

BEGUN_MARKERS = {"score": "○", "tokens": "◇", "think": "△"}
"""The same for a recipe of which no round is complete."""

Measure = Callable[[RecipeSummary], Estimate]

MEASURES: dict[str, Measure] = {
    "score": lambda row: row.score,
    "tokens": lambda row: row.tokens,
    "think": lambda row: row.think_ratio,
}

TOP = 104.0
"""The upper end of the axis, so that 100 % is not drawn over by the frame."""


class _Percent(NumericAxisFormatter):
    """Ticks as whole per cent."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{tick:.0f} %" for tick in ticks]


@dataclass(frozen=True, slots=True)
class Picture:
    """What the plot shows: recipes, joint model, recommended λ, stages, the budget's limit."""

    rows: tuple[RecipeSummary, ...] = ()
    curve: Curve = field(default_factory=Curve)
    recommended: float | None = None
    stages: StageLimits = field(default_factory=StageLimits)
    budget: Budget = field(default_factory=Budget)

    @property
    def longest(self) -> float:
        """The largest mean length of the rows and of the curve, at least 1."""
        lengths = [row.tokens.value for row in self.rows]
        return max([1.0, *lengths, *(point.value for point in self.curve.tokens)])

    @property
    def limits(self) -> tuple[float, ...]:
        """The heights of the budget's limits, in per cent, as far as they have one."""
        scale = {"tokens": 100.0 / self.longest, "score": 100.0}
        heights = (
            scale[limit.axis] * limit.limit
            for limit in self.budget.limits
            if limit.axis in scale and limit.probe is None
        )
        return tuple(height for height in heights if height <= TOP)


def picture_of(
    preset: Preset, answer: Recommendation | None, rows: tuple[RecipeSummary, ...] = ()
) -> Picture:
    """The picture of a study: its rows as points, and what its answer rests on."""
    return Picture(
        rows=rows,
        curve=answer.curve if answer else Curve(),
        recommended=answer.lambda_ if answer and answer.recommended else None,
        stages=answer.stage_limits if answer else StageLimits(),
        budget=preset.budget,
    )


class CurvesPlot(QuietPlot):
    """Recipes as points; the joint model over λ as lines and 95 % bands once there is one.

    Tokens are drawn as a share of the longest mean length, so that one axis serves all three.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._picture = Picture()

    def on_mount(self) -> None:
        """Leave no more room around the plot than its ticks need."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 6
        self.set_y_formatter(_Percent())
        self._fix_axes()

    def show(self, view: StudyView) -> None:
        """Draw a study; nothing is sent when the picture would be the same."""
        answer = view.recommendation
        drawn = [row for row in view.rows if row.recipe.is_uniform and row.rollouts]
        rows = tuple(sorted(drawn, key=lambda row: row.recipe.lambda_ or 0.0))
        self.draw(picture_of(view.preset, answer, rows))

    def draw(self, picture: Picture) -> None:
        """Draw a picture; nothing is sent when it is the one that is there."""
        if picture != self._picture:
            self._picture = picture
            self.draw_again()

    def draw_again(self) -> None:
        """Draw the same data, perhaps in another theme's colours."""
        picture = self._picture
        self.clear()
        self._fix_axes()
        if picture.recommended is not None:
            self.add_v_line(picture.recommended, rich_colour(self.app, "accent"))
        for height in picture.limits:
            colour = rich_colour(self.app, "secondary")
            self.plot([0.0, 1.0], [height] * 2, colour, hires_mode=HiResMode.BRAILLE)
        for name, scale in self._scales():
            self._draw_curve(name, MEASURES[name], scale)

    def _fix_axes(self) -> None:
        """λ from 0 to 1, everything else from 0 to 100 %."""
        self.set_xlimits(-0.02, 1.02)
        self.set_ylimits(0.0, TOP)
        self.set_xticks([i / 10 for i in range(0, 11, 2)])
        self.set_yticks([0, 25, 50, 75, 100])

    def _render_plot(self) -> None:
        """Draw the curves, then shade stages and bands behind them and name the stages."""
        super()._render_plot()
        canvas = self.query_one("#plot", QuietCanvas)
        width, height = canvas.size
        if not canvas.size.area:
            return
        shades = Shades(width, height, self._ground())
        if self._picture.stages.first:
            for stage, left, right in self._stages():
                start, end = (self.get_pixel_from_coordinate(at, 0.0)[0] for at in (left, right))
                text = signs.stage(stage)
                if end - start > len(text) + 3:
                    canvas.write_text((start + end - len(text)) // 2 - 1, 0, f" {text} ")
                if stage != 1:
                    shades.zone(start, end, self._colour(f"curve-stage-{stage}"))
        for name, scale in self._scales():
            self._shade_band(shades, name, scale)
        shades.put_on(canvas)

    def _shade_band(self, shades: Shades, name: str, scale: float) -> None:
        """Shade from the lower to the upper end of a curve's 95 % band, column by column."""
        smooth = self._smooth(name)
        if not smooth:
            return
        first, bottom = self.get_pixel_from_coordinate(0.0, 0.0)
        last, top = self.get_pixel_from_coordinate(1.0, TOP)
        at = np.linspace(0.0, 1.0, last - first + 1)
        lows, highs = (
            bottom + (top - bottom) * np.interp(at, self._picture.curve.lambdas, ends) / TOP
            for ends in ([scale * p.low for p in smooth], [scale * p.high for p in smooth])
        )
        colour = self._colour(f"curve-{name}")
        for place, (high, low) in enumerate(zip(highs, lows, strict=True)):
            shades.column(first + place, float(high), float(low), colour)

    def _stages(self) -> list[tuple[Stage, float, float]]:
        """Each stage with the λ where it begins and ends."""
        first, second = self._picture.stages.first, self._picture.stages.second
        one = first.value if first else 1.0
        two = second.value if second else 1.0
        return [(1, 0.0, one), (2, one, two), (3, two, 1.0)]

    def _scales(self) -> tuple[tuple[str, float], ...]:
        """What each measure is multiplied with to be drawn in per cent."""
        return (("tokens", 100.0 / self._picture.longest), ("think", 100.0), ("score", 100.0))

    def _smooth(self, name: str) -> Sequence[Estimate]:
        """The joint model's curve of a measure; empty before there is one."""
        curve = self._picture.curve
        smooth: Sequence[Estimate] = getattr(curve, "think_ratio" if name == "think" else name)
        return smooth

    def _ground(self) -> str:
        """The colour that bands are blended with; empty where a blend would lose its hue.

        Of 256 colours the nearest to every blend is the same grey.
        """
        if self.app.current_theme.ansi or self.app.console.color_system != "truecolor":
            return ""
        return self.app.theme_variables["background"]

    def _colour(self, name: str) -> str:
        return self.app.theme_variables[name]

    def _draw_curve(self, name: str, measure: Measure, scale: float) -> None:
        rows, curve = self._picture.rows, self._picture.curve
        colour = rich_colour(self.app, f"curve-{name}")
        at = [row.recipe.lambda_ or 0.0 for row in rows]
        values = [scale * measure(row).value for row in rows]
        if smooth := self._smooth(name):
            heights = [min(TOP, scale * point.value) for point in smooth]
            self.plot(curve.lambdas, heights, line_style=colour, hires_mode=HiResMode.BRAILLE)
        elif len(at) > 1:
            self.plot(at, values, line_style=colour, hires_mode=HiResMode.BRAILLE)
        for preliminary, markers in ((False, MARKERS), (True, BEGUN_MARKERS)):
            chosen = [i for i, row in enumerate(rows) if row.preliminary is preliminary]
            points = [at[i] for i in chosen], [values[i] for i in chosen]
            if chosen:
                self.scatter(*points, marker=markers[name], marker_style=f"bold {colour}")

    def legend(self) -> Text:
        """Names, markers, what 100 % of the tokens are, and what the lines mean."""
        picture = self._picture
        names = {
            "score": "Mean@k",
            "think": "Think #R",
            "tokens": f"Token #N (100%={numbers.count(picture.longest)})",
        }
        line = Text(" ")
        for name, words in names.items():
            line.append(f"{MARKERS[name]} ", style=rich_colour(self.app, f"curve-{name}"))
            line.append(f"{words}  ")
        if picture.limits:
            line.append(f"─ {picture.budget.spec}  ", style=rich_colour(self.app, "secondary"))
        if picture.curve.lambdas:
            line.append("░ 95 %  ", style=rich_colour(self.app, "secondary"))
        if picture.recommended is not None:
            line.append(f"│ λ {picture.recommended:g}", style=rich_colour(self.app, "accent"))
        return line
