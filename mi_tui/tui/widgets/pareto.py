"""Score against length: every recipe a point, the recommended one marked, the limit a line."""

from collections.abc import Sequence

from textual_plot import HiResMode

from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.present.signs import CAPPED
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.widgets.quiet_plot import QuietPlot


class ParetoPlot(QuietPlot):
    """The front of score against tokens; its numbers are those of the results table."""

    def on_mount(self) -> None:
        """Leave no more room around the plot than its ticks need."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 3, 6
        self.set_xlabel("score % over tokens · ◆ answer")

    def show(self, rows: Sequence[RecipeSummary], answer: Recommendation) -> None:
        """Draw the recipes, the joint model's curve, the limit and the answer."""
        drawn = [row for row in rows if not row.preliminary]
        tokens, _ = _places(drawn)
        has_capped = any(row.recipe.thinking_cap is not None for row in drawn)
        capped = f" · {CAPPED} cut" if has_capped else ""
        self.set_xlabel(f"score % over tokens · ◆ answer{capped}")
        curve = answer.curve
        self.clear()
        self.set_ylimits(0.0, 104.0)
        self.set_yticks([0, 25, 50, 75, 100])
        longest = 1.05 * max([*tokens, *(p.value for p in curve.tokens), 1.0])
        self.set_xlimits(0.0, longest)
        for limit in answer.budget.limits:
            if limit.axis == "tokens" and limit.probe is None:
                self.add_v_line(limit.limit, rich_colour(self.app, "warning"))
            elif limit.axis == "score" and limit.probe is None:
                self.plot(
                    [0.0, longest],
                    [100 * limit.limit] * 2,
                    line_style=rich_colour(self.app, "warning"),
                    hires_mode=HiResMode.BRAILLE,
                )
        if curve.tokens:
            self.plot(
                [point.value for point in curve.tokens],
                [100 * point.value for point in curve.score],
                line_style=rich_colour(self.app, "secondary"),
                hires_mode=HiResMode.BRAILLE,
            )
        for cut, marker in ((False, "●"), (True, CAPPED)):
            mine = [row for row in drawn if (row.recipe.thinking_cap is not None) == cut]
            if mine:
                at = _places(mine)
                self.scatter(*at, marker=marker, marker_style=rich_colour(self.app, "curve-score"))
        if not answer.recommended:
            return
        colour = f"bold {rich_colour(self.app, 'accent')}"
        at = ([answer.tokens.value], [100 * answer.score.value])
        self.scatter(*at, marker="◆", marker_style=colour)


def _places(rows: Sequence[RecipeSummary]) -> tuple[list[float], list[float]]:
    """Tokens and scores in per cent of some rows."""
    return [row.tokens.value for row in rows], [100 * row.score.value for row in rows]
