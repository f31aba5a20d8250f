"""Step 5: the recommendation, other budgets on the same data, and the export."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Rule, Static

from mi_tui.analysis.results import Recommendation
from mi_tui.errors import MiTuiError
from mi_tui.export.errors import ExportConflictError
from mi_tui.export.format import FORMATS
from mi_tui.paths import expanded
from mi_tui.plan.budget import Budget, BudgetError, parse_budget
from mi_tui.plan.objective import examples
from mi_tui.present.ablation import ablation_picture
from mi_tui.present.answer import alternatives, headline, in_words, measures, what_ended
from mi_tui.present.budget_limits import limits_of
from mi_tui.study.view import StudyView
from mi_tui.tui.runtime.colours import colours_of, rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import GuideScreen, is_open
from mi_tui.tui.screens.dialogs.ask import ConfirmScreen
from mi_tui.tui.screens.dialogs.pick import Pick, PickScreen
from mi_tui.tui.studies.export import Export, copies
from mi_tui.tui.studies.messages import Ablate
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.choice import Checks, Option
from mi_tui.tui.widgets.form import Answer, FormRow, text_field
from mi_tui.tui.widgets.limit_slider import LimitSlider
from mi_tui.tui.widgets.pareto import ParetoPlot
from mi_tui.tui.widgets.step_header import Step

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult

_PAUSE = 0.4
"""Seconds without a keystroke before a new budget is asked."""


ABLATIONS = (
    Pick("layers", "layers", "thirds of the layers, the rest Instruct's"),
    Pick("modules", "modules", "without attention, FFN, norms …"),
    Pick("layers-modules", "layers × modules", "thirds of the layers by modules"),
    Pick("decoding", "decoding", "temperature by top-p"),
    Pick("baselines", "baselines", "task arithmetic, TIES"),
    Pick("layer-groups", "layer groups", "a λ of its own for each"),
)


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
            "a",
            "ablate",
            "Ablation",
            id="recommend.ablate",
            tooltip="A new study at this λ: which layers, modules or decoding matter",
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
            id="recommend.quit",
            tooltip="Leave the app; a running study keeps running",
        ),
    ]

    def __init__(self, session: WatchedStudy, export: Export) -> None:
        super().__init__()
        self._session = session
        self._export = export
        self._view: StudyView | None = None
        self._export_begun = False
        self._answer: Recommendation | None = None
        self._own_budget: Budget | None = None
        self._is_valid = True
        self._ablation: AblationResult | None = None

    def compose_body(self) -> Iterable[Widget]:
        """The answer, its measures, the budget, the export."""
        view = self._session.view
        budget = view.preset.budget.spec if view else "knee"
        if view is not None and view.preset.is_ablation:
            yield Static("Comparing the rows …", id="paired")
        yield LimitSlider(id="limit")
        yield FormRow("Budget", text_field("budget", budget, kind=Answer), id="row-budget")
        yield Static(" · ".join(examples()), id="budget-forms", classes="note", markup=False)
        with Container(id="answer-panes"):
            with Vertical(id="answer"):
                yield Static("Asking the data …", id="headline", markup=False)
                yield Static("", id="measures", markup=False)
                yield Static("", id="alternatives", markup=False)
            yield ParetoPlot(id="pareto")
        yield Rule(line_style="heavy")
        yield FormRow("Export to", text_field("out", str(self._export.folder)), id="row-out")
        yield FormRow(
            "",
            Checks(
                [Option(each.name, each.title) for each in FORMATS],
                self._export.formats,
                id="formats",
                per_line=3,
            ),
            id="row-formats",
        )
        yield Static("", id="written", markup=False)

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
        self._view = view
        if view.preset.is_ablation:
            start(self, self._compare, group="compare")
        if self._own_budget is None and view.recommendation is not None:
            self._show_answer(view.recommendation)
        else:
            self._ask(self._own_budget or view.preset.budget, 0.0)

    @on(Input.Changed, "#budget")
    def budget_edited(self, event: Input.Changed) -> None:
        """Read the budget as it is typed; ask when typing stops."""
        row = self.query_one("#row-budget", FormRow)
        view = self._session.view
        confidence = view.preset.budget.confidence if view else Budget().confidence
        self._is_valid = False
        try:
            budget = parse_budget(event.value, confidence)
        except BudgetError:
            row.show_problem("write one of the forms below")
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

    @on(Input.Changed, "#out")
    def folder_edited(self, event: Input.Changed) -> None:
        """A folder has a name."""
        missing = "" if event.value.strip() else "name a folder"
        self.query_one("#row-out", FormRow).show_problem(missing)

    @on(Input.Submitted, "#out")
    def folder_submitted(self) -> None:
        """Enter in the folder exports."""
        self.action_export()

    def action_back(self) -> None:
        """Cancel an export, leave a field, or go back to the table: the first that applies."""
        if self._export.cancel():
            self.show_status(Text("Cancelling the export …"))
        elif self.focused is not None:
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
        picks = [Pick(what, copy.name, copy.about) for what, copy in copies().items()]

        def copy(what: str | None) -> None:
            if what is not None:
                start(self, partial(self._copy, what), group="copy")

        if self._answer is not None:
            self.app.push_screen(PickScreen("Copy what?", picks), copy)

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
        if not self.query_one("#out", Input).value.strip():
            self.app.bell()
            self.set_focus(self.query_one("#out"))
            return
        if self._export.is_running:
            self.show_status(Text("An export is under way; Escape cancels it."))
            return
        formats = self.query_one("#formats", Checks).values
        if not formats:
            self.show_status(Text("Tick at least one format (x)."))
            return
        out = expanded(self.query_one("#out", Input).value)
        start(self, partial(self._export_answer, out, formats), group="export")

    async def _export_answer(self, out: Path, formats: tuple[str, ...]) -> None:
        """Write the answer to the budget in the field, which may have been typed just now."""
        answer = await self._answer_to_budget()
        if answer is not None:
            await self._write(out, formats, answer)

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

    async def _copy(self, what: str) -> None:
        out = expanded(self.query_one("#out", Input).value.strip() or str(self._export.folder))
        answer = await self._answer_to_budget()
        if answer is None:
            return
        try:
            copy = await self._export.copy(
                what, out, answer, in_words(colours_of(self.app), answer)
            )
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False, timeout=12)
            return
        self.app.copy_to_clipboard(copy.text)
        if is_open(self):
            name = copies()[what].name
            # No terminal says whether it took the text (OSC 52), so the file is named, too.
            self._show_written((copy.path,))
            self.show_status(
                Text.assemble(
                    ("✓ ", rich_colour(self.app, "success")),
                    f"Copied the {name}, if your terminal allows it; also in the file above",
                )
            )

    async def _write(
        self,
        out: Path,
        formats: tuple[str, ...],
        answer: Recommendation,
        overwrite: bool = False,
    ) -> None:
        self._export_begun = True
        self.show_status(Text(f"Exporting to {out} …"))
        try:
            written = await self._export.write(
                out, formats, answer, self._show_progress, overwrite=overwrite
            )
        except ExportConflictError as conflict:
            if is_open(self):
                self._ask_to_replace(out, conflict.held, partial(self._write, out, formats, answer))
            return
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

    def _ask_to_replace(
        self, out: Path, held: str, write: Callable[[bool], Coroutine[None, None, None]]
    ) -> None:
        """Ask whether what a folder holds may be replaced, and write if so."""

        def answered(yes: bool | None) -> None:
            if yes:
                start(self, partial(write, True), group="export")
            else:
                self.show_status(Text("Nothing was exported: choose another folder."))

        self.app.push_screen(ConfirmScreen(f"{out} holds {held}. Replace it?"), answered)

    def _show_progress(self, words: str) -> None:
        if is_open(self):
            self.show_status(Text(f"Exporting {words} · esc cancels"))

    def _show_written(self, written: tuple[Path, ...]) -> None:
        lines = Text()
        for path in written:
            lines.append("✓ ", style=rich_colour(self.app, "success"))
            lines.append(f"{path}\n")
        self.query_one("#written", Static).update(lines)
        body = self.query_one("#body", VerticalScroll)
        self.call_after_refresh(body.scroll_end, animate=False)

    def on_resize(self) -> None:
        """Draw the paired table for the room there is."""
        self._draw_ablation()

    async def _compare(self) -> None:
        """Read the paired table and the heat maps of an ablation."""
        try:
            result = await self._session.ablation_result()
        except MiTuiError as error:
            if is_open(self):
                self.query_one("#paired", Static).update(Text(str(error)))
            return
        if is_open(self):
            self._ablation = result
            self._draw_ablation()

    def _draw_ablation(self) -> None:
        if self._ablation is not None:
            accent = rich_colour(self.app, "primary")
            drawn = ablation_picture(self._ablation, self.size.width - 5, accent)
            self.query_one("#paired", Static).update(drawn)

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
        if self._export_begun:
            return
        view = self._session.view
        running = " · the study is still running, so the answer may move" * bool(
            view and view.state.is_active
        )
        self.show_status(Text(f"Enter exports{running}"))
