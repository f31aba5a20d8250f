"""The preview of a study: its pair, its question, its answer, and a small curve."""

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from mi_tui.present import numbers
from mi_tui.study.view import StudyEntry, StudyPreview
from mi_tui.tui.runtime.colours import rich_colour


class PreviewPane(Vertical, can_focus=False):
    """Facts of the study under the cursor as lines; its curve below them where it is wide."""

    def compose(self) -> ComposeResult:
        """The facts; the plot is mounted with the first curve."""
        yield Static("", id="preview-facts", markup=False)

    def show(self, entry: StudyEntry, preview: StudyPreview) -> None:
        """Show a study."""
        table = Table.grid(padding=(0, 2, 0, 0))
        label = rich_colour(self.app, "secondary")
        for name, value in facts(entry, preview):
            table.add_row(Text(name, label), Text(value, overflow="fold"))
        self.query_one("#preview-facts", Static).update(table)
        self.set_class(False, "-hidden")
        if self.screen.has_class("-wide"):
            self.call_later(self._draw, preview)

    def hide(self) -> None:
        """Give the room back to the list."""
        self.set_class(True, "-hidden")

    async def _draw(self, preview: StudyPreview) -> None:
        # Here, since it brings NumPy, which the first screen must not wait for.
        from mi_tui.tui.widgets.curves import CurvesPlot, picture_of

        if not self.query(CurvesPlot):
            await self.mount(CurvesPlot(id="preview-curve"), Static("", id="preview-legend"))
        plot, legend = self.query_one(CurvesPlot), self.query_one("#preview-legend", Static)
        without = preview.answer is None or not preview.answer.curve.lambdas
        plot.set_class(without, "-hidden")
        plot.draw(picture_of(preview.preset, preview.answer))
        legend.update("" if without else plot.legend())


def facts(entry: StudyEntry, preview: StudyPreview) -> list[tuple[str, str]]:
    """What is said of a study: names and values."""
    preset, answer = preview.preset, preview.answer
    probes = ", ".join(plan.name or plan.kind for plan in preset.probes)
    lines = [
        ("Instruct", preset.pair.instruct),
        ("Thinking", preset.pair.thinking),
        ("Probes", probes),
        ("Budget", preset.budget.in_words),
    ]
    if answer is not None and answer.recommended:
        sure = "settled" if answer.resolved else "not settled"
        score, tokens = numbers.percent_interval(answer.score), numbers.tokens(answer.tokens)
        lines.append(("Answer", f"{answer.recipe.label}: {score}, {tokens} tokens; {sure}"))
    elif entry.best:
        lines.append(("Answer", entry.best))
    if entry.note:
        lines.append(("Note", entry.note))
    return lines
