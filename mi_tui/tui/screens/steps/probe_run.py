"""Step 4: the running study: table, curves, progress; pause, resume, stop."""

from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Static

from mi_tui.analysis.results import RecipeSummary
from mi_tui.plan.until import Until
from mi_tui.present.columns import with_recommended
from mi_tui.present.progress import progress_line, status_line
from mi_tui.study.storage.records import RequestKind
from mi_tui.study.view import StudyState, StudyView
from mi_tui.text.plurals import counted
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.runtime.colours import colours_of
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import GuideScreen
from mi_tui.tui.screens.dialogs.ask import ConfirmScreen
from mi_tui.tui.screens.dialogs.requests import ask_lambdas, ask_samples, ask_until
from mi_tui.tui.studies.messages import (
    Continue,
    LeaveStudy,
    NewStudy,
    ShowRecommendation,
    ShowResponses,
    StudyRequest,
)
from mi_tui.tui.studies.watched_study import WatchedStudy
from mi_tui.tui.widgets.curves import CurvesPlot
from mi_tui.tui.widgets.newest import NewestResponses
from mi_tui.tui.widgets.results_table import ResultsTable
from mi_tui.tui.widgets.step_header import Step, StepHeader

_PLOT_EVERY = 3.0
"""Seconds between two drawings of the plot: it is the costliest thing to send over SSH."""

_READ_EVERY = 2.0
"""Seconds between two readings of the newest responses."""


class ProbeScreen(GuideScreen):
    """Shows one study. It is told about new data; it reads nothing itself."""

    STEP = Step.PROBE
    HELP_PAGE = "probe"
    AUTO_FOCUS = "ResultsTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "recommend",
            "Recommend",
            id="probe.recommend",
            tooltip="The answer so far, and its export",
        ),
        Binding(
            "p",
            "ask('pause')",
            "Pause",
            id="probe.pause",
            tooltip="Finish the rollouts in flight, then wait",
        ),
        Binding(
            "r",
            "ask('resume')",
            "Resume",
            id="probe.resume",
            tooltip="Go on where the study stopped",
        ),
        Binding(
            "s",
            "ask('stop')",
            "Stop",
            id="probe.stop",
            tooltip="End the worker; what was measured is kept",
        ),
        Binding(
            "u",
            "continue",
            "Continue",
            id="probe.continue",
            tooltip="More rollouts, tokens or minutes, or until the answer is settled",
        ),
        Binding(
            "e",
            "settings",
            "Settings",
            id="probe.settings",
            tooltip="A new study with the settings of this one, to change what made it fail",
        ),
        Binding(
            "v",
            "responses",
            "Read",
            id="probe.responses",
            tooltip="Read what the recipe under the cursor answered",
        ),
        Binding(
            "t",
            "fold",
            "Thinking",
            show=False,
            id="probe.thinking",
            tooltip="Fold or unfold the thinking beside the table",
        ),
        Binding(
            "n",
            "newest",
            "Newest",
            show=False,
            id="probe.newest",
            tooltip="Beside the table, the newest responses of all recipes again",
        ),
        Binding(
            "a",
            "add",
            "Add λ",
            id="probe.add",
            tooltip="Evaluate further values of λ",
        ),
        Binding(
            "m",
            "more",
            "More",
            show=False,
            id="probe.more",
            tooltip="More samples per problem of the recipe under the cursor",
        ),
        Binding(
            "x",
            "drop",
            "Drop",
            show=False,
            id="probe.drop",
            tooltip="Ask nothing more of the recipe under the cursor",
        ),
        Binding(
            "escape",
            "leave",
            "Studies",
            id="probe.leave",
            tooltip="Back to the list; the study keeps running",
        ),
        Binding(
            "q",
            "app.quit",
            "Detach",
            id="probe.detach",
            tooltip="Leave the app; the study keeps running",
        ),
    ]

    def __init__(self, session: WatchedStudy) -> None:
        super().__init__()
        self._session = session
        self._view: StudyView | None = None
        self._plot_waits = False
        self._reading_waits = False
        self._read_of: str | None = None
        self._legend = Text()

    def compose(self) -> ComposeResult:
        """Progress on top, then table and plot; the newest responses beside them if wide."""
        yield StepHeader(self.STEP)
        yield Static("Opening the study …", id="progress", markup=False)
        with Horizontal(id="panes"):
            with Vertical(id="measured"):
                yield ResultsTable(id="results")
                with Vertical(id="plot-pane"):
                    yield Static("", id="legend-line", markup=False)
                    yield CurvesPlot(id="curves")
            yield NewestResponses(id="newest")
        yield Static("", id="status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show what is known already; follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        if self._session.view is not None:
            self.show_view(self._session.view)

    def on_screen_resume(self) -> None:
        """Show what came while another screen was open."""
        view = self._session.view
        if view is not None and view is not self._view:
            self.show_view(view)

    def show_view(self, view: StudyView) -> None:
        """Show a new picture of the study."""
        before, self._view = self._view, view
        answer = view.recommendation
        self.query_one("#progress", Static).update(progress_line(colours_of(self.app), view))
        self.query_one(ResultsTable).show(
            with_recommended(view.rows, answer), answer.row_key if answer else None
        )
        self.show_status(status_line(colours_of(self.app), view))
        if not self._plot_waits:
            self._draw_plot()
            if view.state.is_active:
                self._plot_waits = True
                self.set_timer(_PLOT_EVERY, self._plot_due)
        if not self._reading_waits:
            self._read_newest()
            if view.state.is_active:
                self._reading_waits = True
                self.set_timer(_READ_EVERY, self._reading_due)
        if before is None or _allows(before) != _allows(view):
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what the study's state allows."""
        state = self._view.state if self._view else None
        if action == "ask":
            return {
                "pause": state in (StudyState.RUNNING, StudyState.STARTING),
                "resume": state is not None
                and (not state.is_active or state is StudyState.PAUSED)
                and state is not StudyState.DONE,
                "stop": state is not None and state.is_active,
            }[str(parameters[0])]
        if action == "settings":
            return state is not None and not state.is_active and state is not StudyState.DONE
        if action == "continue":
            return state is StudyState.DONE
        if action in ("recommend", "responses", "more", "drop"):
            return True if self._view and self._view.rows else None
        if action in ("fold", "newest"):
            return self._is_wide
        return True

    @on(ResultsTable.Highlighted)
    def recipe_chosen(self, event: ResultsTable.Highlighted) -> None:
        """Read the responses of the recipe that the user has gone to."""
        if not self.query_one(ResultsTable).follows:
            self._read_of = event.row.recipe.key
            self._read_newest()

    def on_resize(self) -> None:
        """Fill the place beside the table when it has just become wide enough."""
        self.call_after_refresh(self._read_newest)

    def action_fold(self) -> None:
        """Fold or unfold the thinking beside the table."""
        self.query_one(NewestResponses).fold()

    def action_newest(self) -> None:
        """Beside the table, follow all recipes."""
        self._read_of = None
        self._read_newest()

    def action_settings(self) -> None:
        """Go back to the settings: the guide, filled in as for this study."""
        if self._view is not None:
            self.post_message(NewStudy(draft_of(self._view.preset)))

    def action_continue(self) -> None:
        """Ask how far the study goes on."""
        answer = self._view.recommendation if self._view else None

        def go_on(until: Until) -> None:
            self.post_message(Continue(until))
            self.show_status(Text(f"Asked the study to go on until {until.spec} …"))

        self.app.push_screen(*ask_until(answer is not None and answer.resolved, go_on))

    def action_ask(self, kind: RequestKind) -> None:
        """Leave the request for the worker; to stop needs a yes while responses would be lost."""
        running = self._view.progress.running if self._view else 0
        if kind != "stop" or not running:
            self._request(kind)
            return

        def stop(yes: bool | None) -> None:
            if yes:
                self._request("stop")

        lost = f"{counted(running, 'response')} under way will be lost"
        question = f"Stop? {lost}; what is stored is kept, and r resumes it."
        self.app.push_screen(ConfirmScreen(question), stop)

    def _request(self, kind: RequestKind) -> None:
        self.post_message(StudyRequest(kind, {}))
        self.show_status(Text(f"Asked the study to {kind} …"))

    def action_responses(self) -> None:
        """Read the responses of the recipe under the cursor."""
        row = self._measured()
        if row is not None:
            self.post_message(ShowResponses(row))

    def action_add(self) -> None:
        """Ask for further values of λ."""
        view = self._view
        if view is None:
            return

        def add(values: tuple[float, ...]) -> None:
            for value in values:
                recipe = view.preset.recipe(value)
                content = recipe.model_dump(mode="json", by_alias=True)
                self.post_message(StudyRequest("add", {"recipe": content}))
            self.show_status(Text(f"Asked for λ {', '.join(f'{value:g}' for value in values)}"))

        self.app.push_screen(*ask_lambdas(add))

    def action_more(self) -> None:
        """Ask for more samples of the recipe under the cursor."""
        row = self._measured()
        if row is None:
            return

        def more(samples: int) -> None:
            data: dict[str, object] = {"recipe": row.recipe.key, "samples": samples}
            self.post_message(StudyRequest("more", data))
            asked = counted(samples, "more sample")
            self.show_status(Text(f"Asked for {asked} of {row.recipe.label}"))

        self.app.push_screen(*ask_samples(row.recipe.label, more))

    def action_drop(self) -> None:
        """Ask for nothing more of the recipe under the cursor, after a yes."""
        row = self._measured()
        if row is None:
            return

        def drop(yes: bool | None) -> None:
            if yes:
                self.post_message(StudyRequest("drop", {"recipe": row.recipe.key}))
                self.show_status(Text(f"Asked to drop {row.recipe.label}"))

        question = f"Drop {row.recipe.label}? Its {counted(row.rollouts, 'rollout')} stay stored."
        self.app.push_screen(ConfirmScreen(question), drop)

    def _measured(self) -> RecipeSummary | None:
        """The recipe under the cursor; a word on how to measure one that is not yet."""
        row = self.query_one(ResultsTable).selected
        if row is not None and not row.rollouts:
            at = row.recipe.lambda_
            self.show_status(
                Text(f"{row.recipe.label} is read off the curve: a (Add λ) {at:g} measures it")
            )
            return None
        return row

    def action_recommend(self) -> None:
        """Go to the answer."""
        self.post_message(ShowRecommendation())

    def action_leave(self) -> None:
        """Go home."""
        self.post_message(LeaveStudy())

    def _recolour(self) -> None:
        if self._view is not None:
            line = progress_line(colours_of(self.app), self._view)
            self.query_one("#progress", Static).update(line)
            self.query_one(NewestResponses).draw_again()
            plot = self.query_one(CurvesPlot)
            plot.draw_again()
            self._show_legend(plot.legend())

    def _plot_due(self) -> None:
        self._plot_waits = False
        self._draw_plot()

    def _draw_plot(self) -> None:
        if self._view is None:
            return
        plot = self.query_one(CurvesPlot)
        plot.show(self._view)
        self._show_legend(plot.legend())

    def _show_legend(self, legend: Text) -> None:
        # A legend may take another line, so it is laid out anew, which repaints the screen.
        if legend != self._legend:
            self._legend = legend
            self.query_one("#legend-line", Static).update(legend)

    @property
    def _is_wide(self) -> bool:
        return self.has_class("-wide")

    def _reading_due(self) -> None:
        self._reading_waits = False
        self._read_newest()

    def _read_newest(self) -> None:
        if self._is_wide and self._view is not None:
            panel = self.query_one(NewestResponses)
            start(self, partial(panel.read, self._session, self._read_of), group="newest")


def _allows(view: StudyView) -> tuple[StudyState, bool]:
    """What the keys depend on."""
    return view.state, bool(view.rows)
