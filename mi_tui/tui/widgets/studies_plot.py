"""One measure of several studies over λ, their curves laid over one another."""

from collections.abc import Sequence
from itertools import cycle

from rich.text import Text
from textual_plot import HiResMode

from mi_tui.analysis.results import Estimate, RecipeSummary
from mi_tui.present import numbers
from mi_tui.present.studies import Compared
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.widgets.curves import MEASURES, TOP
from mi_tui.tui.widgets.quiet_plot import QuietPlot

NAMES = {"score": "Mean@k", "tokens": "Token #N", "think": "Think #R"}
"""The measures, and what they are called."""

_LOOKS = (
    ("●", "curve-score"),
    ("◆", "curve-tokens"),
    ("▲", "curve-think"),
    ("■", "accent"),
    ("✚", "warning"),
    ("○", "success"),
)
"""A marker and a colour for each study in turn: either tells them apart."""


class StudiesPlot(QuietPlot):
    """A line and points for each study; tokens as a share of the longest mean length of all."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._studies: tuple[Compared, ...] = ()
        self.measure = "score"

    def on_mount(self) -> None:
        """Leave no more room around the plot than its ticks need."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 6

    def show(self, studies: Sequence[Compared], measure: str) -> None:
        """Draw a measure, a key of :data:`NAMES`, of each study."""
        self._studies, self.measure = tuple(studies), measure
        self.draw_again()

    def draw_again(self) -> None:
        """Draw the same data, perhaps in another theme's colours."""
        self.clear()
        self.set_xlimits(-0.02, 1.02)
        self.set_xticks([i / 10 for i in range(0, 11, 2)])
        self.set_ylimits(0.0, TOP)
        self.set_yticks([0, 25, 50, 75, 100])
        scale = 100.0 / self._longest if self.measure == "tokens" else 100.0
        for study, (marker, name) in zip(self._studies, cycle(_LOOKS), strict=False):
            colour = rich_colour(self.app, name)
            lambdas, values = _curve(study, self.measure)
            if len(lambdas) > 1:
                heights = [min(TOP, scale * value.value) for value in values]
                self.plot(lambdas, heights, line_style=colour, hires_mode=HiResMode.BRAILLE)
            rows = _rows(study)
            at = [row.recipe.lambda_ or 0.0 for row in rows]
            points = [scale * MEASURES[self.measure](row).value for row in rows]
            if at:
                self.scatter(at, points, marker=marker, marker_style=f"bold {colour}")

    def legend(self) -> Text:
        """The measure, and the marker of each study."""
        unit = f"100 = {numbers.count(self._longest)} tokens" if self.measure == "tokens" else "%"
        line = Text(f"{NAMES[self.measure]} over λ ({unit}; m: another measure)  ")
        for study, (marker, name) in zip(self._studies, cycle(_LOOKS), strict=False):
            line.append(f"{marker} ", style=rich_colour(self.app, name))
            line.append(f"{study.name}  ")
        return line

    @property
    def _longest(self) -> float:
        lengths = [value.value for study in self._studies for value in _curve(study, "tokens")[1]]
        lengths += [row.tokens.value for study in self._studies for row in _rows(study)]
        return max([1.0, *lengths])


def _rows(study: Compared) -> list[RecipeSummary]:
    found = [row for row in study.rows if row.recipe.is_uniform]
    return sorted(found, key=lambda row: row.recipe.lambda_ or 0.0)


def _curve(study: Compared, measure: str) -> tuple[Sequence[float], Sequence[Estimate]]:
    """The fitted curve of a study; its points where it has none."""
    curve = study.answer.curve if study.answer else None
    if curve is not None and curve.lambdas:
        named = {"score": curve.score, "tokens": curve.tokens, "think": curve.think_ratio}
        return curve.lambdas, named[measure]
    rows = _rows(study)
    return [row.recipe.lambda_ or 0.0 for row in rows], [MEASURES[measure](row) for row in rows]
