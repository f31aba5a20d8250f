"""Step 5: the answer, why it is the answer, another question to the same data, and the export."""

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Rule, Static

from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import Budget, BudgetError, parse_budget
from mi_tui.study.results import Recommendation
from mi_tui.study.view import StudyView
from mi_tui.tui.answer import alternatives, headline, measures
from mi_tui.tui.colours import rich_colour
from mi_tui.tui.exporting import EXPORTS, Export
from mi_tui.tui.screens.base import GuideScreen, is_open
from mi_tui.tui.session import StudySession
from mi_tui.tui.widgets.choice import Checks, Option
from mi_tui.tui.widgets.form import FormRow, text_field
from mi_tui.tui.widgets.pareto import ParetoPlot
from mi_tui.tui.widgets.step_header import Step
from mi_tui.tui.workers import start

_PAUSE = 0.4
"""Seconds without a keystroke before a new budget is asked."""

_BUDGET_HINT = "tokens<=2000 · p95 seconds<=30 · score>=0.8 · score>=95% · knee"


class RecommendScreen(GuideScreen):
    """The recommendation of the study being watched."""

    STEP = Step.RECOMMEND
    HELP_PAGE = "recommend"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "export",
            "Export",
            id="recommend.export",
            tooltip="Write what is ticked below to the folder",
        ),
        Binding(
            "b",
            "focus_field('budget')",
            "Budget",
            id="recommend.budget",
            tooltip="Ask the same data another question",
        ),
        Binding(
            "x",
            "focus_field('formats')",
            "Formats",
            id="recommend.formats",
            tooltip="Choose what is exported",
        ),
        Binding(
            "escape",
            "back",
            "Back",
            id="recommend.back",
            tooltip="Back to the table; from a field, out of the field",
        ),
        Binding(
            "q",
            "app.quit",
            "Quit",
            id="recommend.quit",
            tooltip="Leave the app; a running study goes on",
        ),
    ]

    def __init__(self, session: StudySession, export: Export) -> None:
        super().__init__()
        self._session = session
        self._export = export
        self._view: StudyView | None = None
        self._export_begun = False
        self._answer: Recommendation | None = None
        self._own_budget: Budget | None = None

    def compose_body(self) -> Iterable[Widget]:
        """The answer, its measures, the budget, the export."""
        view = self._session.view
        budget = view.preset.budget.spec if view else "knee"
        with Container(id="answer-panes"):
            with Vertical(id="answer"):
                yield Static("Asking the data …", id="headline", markup=False)
                yield Static("", id="measures", markup=False)
                yield Static("", id="alternatives", markup=False)
            yield ParetoPlot(id="pareto")
        yield Rule(line_style="heavy")
        yield FormRow("Budget", text_field("budget", budget), id="row-budget")
        yield Static(_BUDGET_HINT, classes="note", markup=False)
        yield FormRow("Export to", text_field("out", str(self._export.folder)), id="row-out")
        yield FormRow(
            "",
            Checks(
                [Option(name, label) for name, label in EXPORTS.items()],
                self._export.formats,
                id="formats",
                per_line=3,
            ),
            id="row-formats",
        )
        yield Static("", id="written", markup=False)

    def on_mount(self) -> None:
        """Show the study's own answer, or ask for one; follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw_plot())

    def on_screen_resume(self) -> None:
        """Show the answer, and what came while another screen was open."""
        view = self._session.view
        if view is not None and view is not self._view:
            self.show_view(view)

    def show_view(self, view: StudyView) -> None:
        """New data: the study's own answer, or the same question asked again."""
        self._view = view
        if self._own_budget is None and view.recommendation is not None:
            self._show_answer(view.recommendation)
        else:
            self._ask(self._own_budget or view.preset.budget, 0.0)

    @on(Input.Changed, "#budget")
    def budget_edited(self, event: Input.Changed) -> None:
        """Read the budget as it is typed; ask when typing stops."""
        row = self.query_one("#row-budget", FormRow)
        try:
            budget = parse_budget(event.value)
        except BudgetError:
            row.show_problem("write one of the forms below")
            return
        row.show_problem("")
        view = self._session.view
        if view is not None and budget.spec == view.preset.budget.spec and not self._own_budget:
            return
        self._own_budget = budget
        self._ask(budget, _PAUSE)

    @on(Input.Submitted, "#budget")
    def budget_submitted(self) -> None:
        """Enter in the budget leaves the field."""
        self.set_focus(None)

    @on(Input.Submitted, "#out")
    def folder_submitted(self) -> None:
        """Enter in the folder exports."""
        self.action_export()

    def action_back(self) -> None:
        """Out of a field first, then back to the table."""
        if self.focused is not None:
            self.set_focus(None)
        else:
            self.app.pop_screen()

    def action_focus_field(self, field: str) -> None:
        """Go to a field."""
        # At once, so that a key pressed right behind this one reaches the field.
        self.set_focus(self.query_one(f"#{field}"))

    def action_export(self) -> None:
        """Write the ticked formats; each path is shown as it is written."""
        if self._answer is None:
            self.show_status(Text("Nothing to export yet: the study has no answer."))
            return
        formats = self.query_one("#formats", Checks).values
        if not formats:
            self.show_status(Text("Tick at least one format (x)."))
            return
        out = Path(self.query_one("#out", Input).value).expanduser()
        write = partial(self._write, out, formats, self._answer)
        start(self, write, group="export")

    async def _write(self, out: Path, formats: tuple[str, ...], answer: Recommendation) -> None:
        self._export_begun = True
        self.show_status(Text(f"Exporting to {out} …"))
        try:
            written = await self._export.write(out, formats, answer, self._show_progress)
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False, timeout=12)
            if is_open(self):
                self.show_status(Text(f"✗ {error}", style=rich_colour(self.app, "error")))
            return
        if not is_open(self):
            self.notify(f"Exported to {out}", markup=False)
            return
        self._show_written(written)
        self.show_status(
            Text.assemble(
                ("✓ ", rich_colour(self.app, "success")),
                f"Exported {len(written)} {'file' if len(written) == 1 else 'files'}",
            )
        )

    def _show_progress(self, words: str) -> None:
        if is_open(self):
            self.show_status(Text(f"Exporting {words} …"))

    def _show_written(self, written: tuple[Path, ...]) -> None:
        lines = Text()
        for path in written:
            lines.append("✓ ", style=rich_colour(self.app, "success"))
            lines.append(f"{path}\n")
        self.query_one("#written", Static).update(lines)
        body = self.query_one("#body", VerticalScroll)
        self.call_after_refresh(body.scroll_end, animate=False)

    def _draw_plot(self) -> None:
        view = self._session.view
        if view is not None and self._answer is not None:
            self.query_one(ParetoPlot).show(view.rows, self._answer)

    def _ask(self, budget: Budget, pause: float) -> None:
        start(self, partial(self._asked, budget, pause), group="ask")

    async def _asked(self, budget: Budget, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            answer = await self._session.recommend(budget)
        except MiTuiError as error:
            if is_open(self):
                self.show_status(Text(str(error)))
            return
        if is_open(self):
            self._show_answer(answer)

    def _show_answer(self, answer: Recommendation) -> None:
        if answer == self._answer:
            return
        self._answer = answer
        self.query_one("#headline", Static).update(headline(self.app, answer))
        self.query_one("#measures", Static).update(measures(self.app, answer))
        self.query_one("#alternatives", Static).update(alternatives(self.app, answer))
        self._draw_plot()
        if self._export_begun:
            return
        view = self._session.view
        running = " · the study is still running, so the answer may move" * bool(
            view and view.state.is_active
        )
        self.show_status(Text(f"Enter exports{running}"))
