"""Step 5: the recommendation, other budgets on the same data, and the export."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Rule, Static

from mi_tui.analysis.results import Recommendation
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import (
    Budget,
    BudgetError,
    parse_budget,
    require_probes,
    slip,
)
from mi_tui.plan.objective import examples
from mi_tui.plan.until import Until
from mi_tui.present.answer import alternatives, headline, measures, what_ended
from mi_tui.present.budget_limits import limits_of
from mi_tui.study.view import StudyView
from mi_tui.tui.runtime.colours import colours_of, rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import GuideScreen, is_open
from mi_tui.tui.screens.dialogs.ablations import ABLATIONS
from mi_tui.tui.screens.dialogs.pick import PickScreen
from mi_tui.tui.screens.dialogs.requests import ask_until
from mi_tui.tui.screens.steps.export_panel import ExportPanel
from mi_tui.tui.studies.export import Export
from mi_tui.tui.studies.messages import Ablate, Continue
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.form import Answer, FormRow, text_field
from mi_tui.tui.widgets.limit_slider import LimitSlider
from mi_tui.tui.widgets.paired_table import PairedTable
from mi_tui.tui.widgets.pareto import ParetoPlot
from mi_tui.tui.widgets.step_header import Step

_PAUSE = 0.4
"""Seconds without a keystroke before a new budget is asked."""


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
            "left,h",
            "move_limit(-1)",
            "Tighter",
            show=False,
            id="recommend.tighter",
            tooltip="The next lower limit; the answer moves at once",
        ),
        Binding(
            "right,l",
            "move_limit(1)",
            "Looser",
            show=False,
            id="recommend.looser",
            tooltip="The next higher limit; the answer moves at once",
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
            show=False,
            id="recommend.formats",
            tooltip="Choose what is exported",
        ),
        Binding(
            "c",
            "copy",
            "Copy",
            id="recommend.copy",
            tooltip="The answer, the config or the serve command, to clipboard and file",
        ),
        Binding(
            "u",
            "continue",
            "Continue",
            id="recommend.continue",
            tooltip="More rollouts, tokens or minutes, or until the answer is settled",
        ),
        Binding(
            "s",
            "serve",
            "Serve",
            id="recommend.serve",
            tooltip="The command of a server with λ per request, and its efforts",
        ),
        Binding(
            "a",
            "ablate",
            "Ablation",
            id="recommend.ablate",
            tooltip="A new study at this λ: which layers, modules or decoding matter",
        ),
        Binding(
            "o",
            "open_report",
            "Open report",
            show=False,
            id="recommend.open",
            tooltip="Write the HTML report and open it; over SSH its path is shown",
        ),
        Binding(
            "down,j",
            "scroll_body(1)",
            "Down",
            show=False,
            id="recommend.down",
            tooltip="Scroll down",
        ),
        Binding(
            "up,k", "scroll_body(-1)", "Up", show=False, id="recommend.up", tooltip="Scroll up"
        ),
        Binding(
            "escape",
            "back",
            "Back",
            id="recommend.back",
            tooltip="Cancel an export; from a field, out of it; else back to the table",
        ),
        Binding(
            "q",
            "app.quit",
            "Quit",
            show=False,
            id="recommend.quit",
            tooltip="Leave the app; a running study keeps running",
        ),
    ]

    def __init__(self, session: WatchedStudy, export: Export) -> None:
        super().__init__()
        self._session = session
        self._export = export
        self._view: StudyView | None = None
        self._answer: Recommendation | None = None
        self._own_budget: Budget | None = None
        self._is_valid = True

    def compose_body(self) -> Iterable[Widget]:
        """The answer, its measures, the budget, the export."""
        view = self._session.view
        budget = view.preset.budget.spec if view else "knee"
        if view is not None and view.preset.is_ablation:
            yield PairedTable(id="paired")
        yield LimitSlider(id="limit")
        yield FormRow("Budget", text_field("budget", budget, kind=Answer), id="row-budget")
        yield Static(
            " · ".join((*examples(), "join with and")),
            id="budget-forms",
            classes="note",
            markup=False,
        )
        with Container(id="answer-panes"):
            with Vertical(id="answer"):
                yield Static("Asking the data …", id="headline", markup=False)
                yield Static("", id="measures", markup=False)
                yield Static("", id="alternatives", markup=False)
            yield ParetoPlot(id="pareto")
        yield Rule(line_style="heavy")
        yield ExportPanel(self._export, self._answer_to_budget, self.show_status)

    def on_mount(self) -> None:
        """Show the study's own answer, or ask for one; follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw_answer())
        self._show_forms()

    def on_screen_resume(self) -> None:
        """Show the answer, and what came while another screen was open."""
        view = self._session.view
        if view is not None and view is not self._view:
            self.show_view(view)

    def show_view(self, view: StudyView) -> None:
        """New data: the study's own answer, or the same question asked again."""
        before, self._view = self._view, view
        if before is None or before.state.is_active != view.state.is_active:
            self.refresh_bindings()
        if view.preset.is_ablation:
            start(self, partial(self.query_one(PairedTable).read, self._session), group="compare")
        if self._own_budget is None and view.recommendation is not None:
            self._show_answer(view.recommendation)
        else:
            self._ask(self._own_budget or view.preset.budget, 0.0)

    @on(Input.Changed, "#budget")
    def budget_edited(self, event: Input.Changed) -> None:
        """Read the budget as it is typed; ask when typing stops."""
        row = self.query_one("#row-budget", FormRow)
        view = self._session.view
        own = view.preset.budget if view else Budget()
        self._is_valid = False
        try:
            budget = parse_budget(event.value, own.confidence, about=own.about)
            if view is not None:
                require_probes(budget, view.preset.probe_names)
        except BudgetError as error:
            # What was asked of a budget half typed must not speak after it.
            self.workers.cancel_group(self, "ask")
            row.show_problem(slip(error) or "write one of the forms below")
            return
        self._is_valid = True
        row.show_problem("")
        if view is not None and budget.spec == view.preset.budget.spec and not self._own_budget:
            return
        self._own_budget = budget
        self._ask(budget, _PAUSE)

    @on(LimitSlider.Moved)
    def limit_moved(self, event: LimitSlider.Moved) -> None:
        """Ask for another limit of the same objective at once."""
        if self._answer is None:
            return
        asked = self._own_budget or self._answer.budget
        self._own_budget = budget = asked.model_copy(update={"limit": event.limit})
        field = self.query_one("#budget", Input)
        with field.prevent(Input.Changed):
            field.value = budget.spec
        self._is_valid = True
        self.query_one("#row-budget", FormRow).show_problem("")
        self.query_one(LimitSlider).show(budget, limits_of(self._answer))
        self._ask(budget, 0.0)

    @on(Input.Submitted, "#budget")
    def budget_submitted(self) -> None:
        """Enter in the budget leaves the field, unless there is something to correct."""
        if self._is_valid:
            self.set_focus(None)
        else:
            self._refuse_budget()

    def on_descendant_focus(self) -> None:
        """Show the forms of a budget while one is typed."""
        self._show_forms()

    def on_descendant_blur(self) -> None:
        """Give the line back to the answer."""
        self._show_forms()

    @on(Input.Submitted, "#out")
    def folder_submitted(self) -> None:
        """Enter in the folder exports."""
        self.action_export()

    def action_back(self) -> None:
        """Cancel an export, leave a field, or go back to the table: the first that applies."""
        if self.query_one(ExportPanel).cancel():
            return
        if self.focused is not None:
            self.set_focus(None)
        else:
            self.app.pop_screen()

    def action_focus_field(self, field: str) -> None:
        """Go to a field."""
        # At once, so that a key pressed right behind this one reaches the field.
        self.set_focus(self.query_one(f"#{field}"))

    def action_move_limit(self, by: int) -> None:
        """Move the limit by one step."""
        self.query_one(LimitSlider).move(by)

    def action_scroll_body(self, by: int) -> None:
        """Scroll by two lines."""
        self.query_one("#body", VerticalScroll).scroll_relative(y=2 * by, animate=False)

    def action_copy(self) -> None:
        """Ask what to copy."""
        if self._answer is not None:
            self.query_one(ExportPanel).copy()

    def action_open_report(self) -> None:
        """Write the report, and open it or say where it is."""
        if not self._is_valid:
            self._refuse_budget()
        elif self._answer is not None:
            self.query_one(ExportPanel).open_report()

    def action_continue(self) -> None:
        """Ask how far the study goes on, for the budget that was asked last."""
        answer = self._answer

        def go_on(until: Until) -> None:
            self.post_message(Continue(until, self._own_budget))

        if answer is not None:
            self.app.push_screen(*ask_until(answer.resolved, go_on))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to continue a study only when it has ended."""
        del parameters
        if action == "continue":
            return self._view is not None and not self._view.state.is_active
        return True

    def action_serve(self) -> None:
        """Show the command that serves the study."""
        if self._answer is not None and self._view is not None:
            self.query_one(ExportPanel).serve(self._view.preset)

    def action_ablate(self) -> None:
        """Ask which ablation."""
        answer = self._answer
        if answer is None:
            return

        def ablate(kind: str | None) -> None:
            if kind is not None:
                self.post_message(Ablate(kind, answer.lambda_, answer.budget))

        question = f"Which ablation at λ = {answer.lambda_:g}?"
        self.app.push_screen(PickScreen(question, ABLATIONS), ablate)

    def action_export(self) -> None:
        """Write the ticked formats; each path is shown as it is written."""
        if not self._is_valid:
            self._refuse_budget()
            return
        if self._answer is None:
            self.show_status(Text("Nothing to export yet: the study has no answer."))
            return
        self.query_one(ExportPanel).export()

    async def _answer_to_budget(self) -> Recommendation | None:
        answer, budget = self._answer, self._own_budget
        if answer is None or budget is None or answer.budget == budget:
            return answer
        try:
            answer = await self._session.recommend(budget)
        except MiTuiError as error:
            if is_open(self):
                self.show_status(Text(str(error)))
            return None
        if is_open(self):
            self._show_answer(answer)
        return answer

    def _refuse_budget(self) -> None:
        self.app.bell()
        self.set_focus(self.query_one("#budget"))
        self.show_status(
            Text("✗ Correct the budget first: nothing is exported.", rich_colour(self.app, "error"))
        )

    def _show_forms(self) -> None:
        typing = self.focused is not None and self.focused.id == "budget"
        self.query_one("#budget-forms").set_class(not typing, "-hidden")

    def _draw_answer(self) -> None:
        view, answer = self._session.view, self._answer
        if view is None or answer is None:
            return
        self.query_one(LimitSlider).show(answer.budget, limits_of(answer))
        said = headline(colours_of(self.app), answer, what_ended(view))
        self.query_one("#headline", Static).update(said)
        self.query_one("#measures", Static).update(measures(colours_of(self.app), answer))
        self.query_one("#alternatives", Static).update(alternatives(colours_of(self.app), answer))
        self.query_one(ParetoPlot).show(view.rows, answer)

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
        self._draw_answer()
        if self.query_one(ExportPanel).has_begun:
            return
        view = self._session.view
        running = " · the study is still running, so the answer may move" * bool(
            view and view.state.is_active
        )
        self.show_status(Text(f"Enter exports{running}"))
