"""The plot of score, length and think ratio over λ, on one axis from 0 to 100 %."""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import NumericAxisFormatter

from mi_tui.study.results import Curve, Estimate, RecipeSummary
from mi_tui.tui import formats
from mi_tui.tui.colours import rich_colour

MARKERS = {"score": "●", "tokens": "◆", "think": "▲"}
"""One marker per curve, so that colour is never needed to tell them apart."""

Measure = Callable[[RecipeSummary], Estimate]


class _Percent(NumericAxisFormatter):
    """Ticks as whole per cent."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{tick:.0f} %" for tick in ticks]


class CurvesPlot(PlotWidget, can_focus=False):
    """Recipes as points, the joint model over λ as lines once there is one.

    Tokens are drawn as a share of the longest mean length, so that one axis serves all three.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, allow_pan_and_zoom=False)
        self._shown: tuple[object, ...] = ()
        self._picture: tuple[tuple[RecipeSummary, ...], Curve, float | None] | None = None

    def on_mount(self) -> None:
        """Leave no more room around the plot than its ticks need."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 2, 6
        self.set_y_formatter(_Percent())

    def _fix_axes(self) -> None:
        """λ from 0 to 1, everything else from 0 to 100 %."""
        self.set_xlimits(-0.02, 1.02)
        self.set_ylimits(0.0, 104.0)
        self.set_xticks([i / 10 for i in range(0, 11, 2)])
        self.set_yticks([0, 25, 50, 75, 100])

    def show(self, rows: Sequence[RecipeSummary], curve: Curve, recommended: float | None) -> None:
        """Draw these recipes; nothing is sent when the picture would be the same."""
        drawn = tuple(row for row in rows if row.recipe.is_uniform and row.rollouts)
        picture = (drawn, curve, recommended)
        if picture != self._picture:
            self._picture = picture
            self._draw()

    def draw_again(self) -> None:
        """Draw the same data in another theme's colours."""
        if self._picture is not None:
            self._draw()

    def _draw(self) -> None:
        assert self._picture is not None
        rows, curve, recommended = self._picture
        rows = tuple(sorted(rows, key=lambda row: row.recipe.lambda_ or 0.0))
        self.clear()
        self._fix_axes()
        if recommended is not None:
            self.add_v_line(recommended, rich_colour(self.app, "accent"))
        longest = longest_tokens(rows, curve)
        for name, measure, scale in (
            ("tokens", lambda row: row.tokens, 100.0 / longest),
            ("think", lambda row: row.think_ratio, 100.0),
            ("score", lambda row: row.score, 100.0),
        ):
            self._draw_curve(name, rows, curve, measure, scale)

    def _draw_curve(
        self,
        name: str,
        rows: Sequence[RecipeSummary],
        curve: Curve,
        measure: Measure,
        scale: float,
    ) -> None:
        colour = rich_colour(self.app, f"curve-{name}")
        at = [row.recipe.lambda_ or 0.0 for row in rows]
        values = [scale * measure(row).value for row in rows]
        smooth: Sequence[Estimate] = getattr(curve, "think_ratio" if name == "think" else name)
        if smooth:
            heights = [min(104.0, scale * point.value) for point in smooth]
            self.plot(curve.lambdas, heights, line_style=colour, hires_mode=HiResMode.BRAILLE)
        elif len(at) > 1:
            self.plot(at, values, line_style=colour, hires_mode=HiResMode.BRAILLE)
        if at:
            self.scatter(at, values, marker=MARKERS[name], marker_style=f"bold {colour}")

    def legend(self) -> Text:
        """Names, markers and what 100 % of the tokens are."""
        longest = longest_tokens(*self._picture[:2]) if self._picture else 0.0
        names = {
            "score": "Mean@k",
            "think": "Think #R",
            "tokens": f"Token #N (of {formats.count(longest)})",
        }
        line = Text(" ")
        for name, words in names.items():
            colour = rich_colour(self.app, f"curve-{name}")
            line.append(f"{MARKERS[name]} ", style=colour)
            line.append(f"{words}   ")
        return line.append("over λ", style=rich_colour(self.app, "secondary"))


def longest_tokens(rows: Sequence[RecipeSummary], curve: Curve) -> float:
    """The largest mean length of the rows and of the curve, at least 1."""
    lengths = [row.tokens.value for row in rows] + [point.value for point in curve.tokens]
    return max([1.0, *lengths])
