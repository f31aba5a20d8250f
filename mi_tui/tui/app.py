"""The app: its screens, the watched study, and the handlers of the screens' messages."""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.worker import WorkerFailed

from mi_tui.errors import MiTuiError
from mi_tui.plan.preset import Preset
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.runtime.app_keys import Everywhere
from mi_tui.tui.runtime.key_order import KeyOrder, Reached
from mi_tui.tui.runtime.preferences import read_preferences, take_themes
from mi_tui.tui.runtime.signals import leave_on_signals
from mi_tui.tui.runtime.state import remember, remembered
from mi_tui.tui.runtime.theme_watch import EVERY, ThemeWatch
from mi_tui.tui.runtime.themes import FALLBACK_CURVES
from mi_tui.tui.screens.home import HomeScreen
from mi_tui.tui.screens.steps.budget import BudgetScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from mi_tui.tui.studies.commands import StudyCommands
from mi_tui.tui.studies.messages import (
    Ablate,
    AskConsent,
    Continue,
    LeaveStudy,
    NewStudy,
    NextStep,
    OpenStudy,
    SavePreset,
    ShowBreakdown,
    ShowCase,
    ShowExample,
    ShowLengths,
    ShowPresets,
    ShowRecommendation,
    ShowResponses,
    StartStudy,
    StudyRequest,
)
from mi_tui.tui.studies.services import Services
from mi_tui.tui.studies.watch import StudyWatch


class MiTuiApp(App[str]):
    """The guided tuning session; ends with a word to say on the terminal, or none.

    Args:
        start: the first screen: ``home``; ``demo``, the guide with ``preset`` filled in; or
            ``watch``, the study ``study``.
        study: the directory of the study to watch.
        preset: what the guide begins with.
        theme: the name of a theme; ``None`` for the default.
        services: the program behind the screens; tests give their own.

    Attributes:
        unexpected: the error that ended the app, if one did.
    """

    TITLE = "mi-tui"
    CSS_PATH = ["app.tcss", "guide.tcss"]  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = Everywhere.BINDINGS

    def __init__(
        self,
        *,
        start: Literal["home", "demo", "watch"] = "home",
        study: Path | None = None,
        preset: Preset | None = None,
        theme: str | None = None,
        services: Services | None = None,
    ) -> None:
        super().__init__()
        self._start = start
        self._study = study
        self._preset = preset
        self.unexpected: Exception | None = None
        self._services = services or Services()
        self._commands = StudyCommands(self, self._services)
        config, problems = read_preferences(_keys_by_screen)
        self._watch = StudyWatch(self, self._services, notify=config.notify)
        self._own_themes, skipped = take_themes(self, config.theme or remembered("theme"), theme)
        self._problems = problems + skipped
        self._theme_watch = ThemeWatch(self)
        self._key_order = KeyOrder(self, super().on_event)
        self.set_keymap(config.keys)
        if any(name.startswith("SSH_") for name in os.environ):
            self.animation_level = "none"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The curves' colours in themes that are not ours."""
        return FALLBACK_CURVES

    async def on_event(self, event: events.Event) -> None:
        """As Textual does, but keys that arrive together go where the focus will be."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._key_order.take(event)
        else:
            await super().on_event(event)

    @on(Reached)
    async def key_reached(self, message: Reached) -> None:
        """What a key led to is there: the next one may go."""
        await self._key_order.reached(message)

    async def on_mount(self) -> None:
        """Open the first screen."""
        if not self.is_headless:
            leave_on_signals(self)
        # What is told below belongs on this screen, and not on the one before it.
        await self.push_screen(HomeScreen(self._services))
        self.set_interval(EVERY, self._look_at_theme)
        for problem in self._problems:
            self.notify(problem, severity="warning", markup=False, timeout=12)
        if self._start == "demo" and self._preset is not None:
            self.post_message(NewStudy(draft_of(self._preset)))
        elif self._start == "watch" and self._study is not None:
            self.post_message(OpenStudy(self._study))

    @on(NewStudy)
    def open_guide(self, message: NewStudy) -> None:
        """Begin the guide."""
        self.push_screen(ModelsScreen(message.draft, self._services))

    @on(ShowPresets)
    def show_presets(self) -> None:
        """Browse the presets."""
        from mi_tui.tui.screens.presets import PresetsScreen

        self.push_screen(PresetsScreen(self._services))

    @on(NextStep)
    def open_next(self, message: NextStep) -> None:
        """Go from Models to Budget, from Budget to Scope."""
        if isinstance(self.screen, ModelsScreen):
            self.push_screen(BudgetScreen(message.draft, self._services))
        elif isinstance(self.screen, BudgetScreen):
            self.push_screen(ScopeScreen(message.draft, self._services))

    @on(SavePreset)
    def save_preset(self, message: SavePreset) -> None:
        """Keep the preset and say where."""
        try:
            path = self._services.save_preset(message.preset, message.name)
        except MiTuiError as error:
            self._notify_error(error)
        else:
            self.notify(f"Saved {path}", markup=False)

    @on(ShowExample)
    def show_example(self, message: ShowExample) -> None:
        """Show what the probes ask, before anything runs."""
        from mi_tui.tui.screens.reading.example import ExampleScreen

        self.push_screen(ExampleScreen(message.preset, self._services))

    @on(AskConsent)
    def ask_consent(self, message: AskConsent) -> None:
        """Ask whether code of others may run."""
        from mi_tui.tui.screens.dialogs.consent import ConsentScreen

        self.push_screen(ConsentScreen(message.codes), lambda yes: message.answered(bool(yes)))

    @on(StartStudy)
    def start_study(self, message: StartStudy) -> None:
        """Create the study, start its worker, and watch it."""
        self._commands.begin(message, lambda path: self.open_study(OpenStudy(path)))

    @on(OpenStudy)
    def open_study(self, message: OpenStudy) -> None:
        """Watch a study; whatever form was open is left."""
        from mi_tui.tui.screens.steps.probe_run import ProbeScreen

        if message.go_on:
            self._commands.go_on(message.path)
        session = self._watch.open(message.path)
        self._leave_guide()
        self.push_screen(ProbeScreen(session))
        self._watch.look()

    @on(ShowRecommendation)
    def show_recommendation(self) -> None:
        """Open the answer of the watched study."""
        from mi_tui.tui.screens.steps.recommend import RecommendScreen
        from mi_tui.tui.studies.export import Export

        if (session := self._watch.session) is not None:
            export = Export(self._services, session.path)
            self.push_screen(RecommendScreen(session, export))

    @on(ShowResponses)
    def show_responses(self, message: ShowResponses) -> None:
        """Read what one recipe answered."""
        from mi_tui.tui.screens.reading.responses import ResponsesScreen

        if (session := self._watch.session) is not None:
            self.push_screen(ResponsesScreen(session, message.row))

    @on(ShowBreakdown)
    def show_breakdown(self) -> None:
        """Show the results by probe and stratum, and the problems that flip."""
        from mi_tui.tui.screens.reading.breakdown import BreakdownScreen

        if (session := self._watch.session) is not None:
            self.push_screen(BreakdownScreen(session))

    @on(ShowLengths)
    def show_lengths(self) -> None:
        """Show the distribution of lengths of every λ."""
        from mi_tui.tui.screens.reading.lengths import LengthsScreen

        if (session := self._watch.session) is not None:
            self.push_screen(LengthsScreen(session))

    @on(ShowCase)
    def show_case(self, message: ShowCase) -> None:
        """Compare one problem under every λ."""
        from mi_tui.tui.screens.reading.case import CaseScreen

        if (session := self._watch.session) is not None:
            self.push_screen(CaseScreen(session, message.problem))

    @on(Ablate)
    def open_ablation(self, message: Ablate) -> None:
        """Make the preset of an ablation, which reads a checkpoint, and show its scope."""
        session = self._watch.session

        def show(preset: Preset) -> None:
            if session is self._watch.session:  # the user may have left the study meanwhile
                self.push_screen(ScopeScreen(draft_of(preset), self._services))

        if session is not None:
            self._commands.ablate(session.path, message, show)

    @on(LeaveStudy)
    def leave_study(self) -> None:
        """Go home; the study goes on."""
        self._watch.close()
        self._leave_guide()

    @on(StudyRequest)
    def ask_study(self, message: StudyRequest) -> None:
        """Leave the request, or start the worker again."""
        session = self._watch.session
        if session is None or session.view is None:
            return
        if message.kind == "resume":
            self._commands.go_on(session.path)
        else:
            self._commands.request(session.path, message)

    @on(Continue)
    def continue_study(self, message: Continue) -> None:
        """Let the watched study go on, and show its table."""
        from mi_tui.tui.screens.steps.probe_run import ProbeScreen

        if (session := self._watch.session) is not None:
            self._commands.extend(session.path, message)
            if not isinstance(self.screen, ProbeScreen):
                self.pop_screen()

    def action_help(self) -> None:
        """The page of help of this screen; in a dialog, if it has none, of the one below."""
        pages = (getattr(screen, "HELP_PAGE", None) for screen in reversed(self.screen_stack))
        self._help(next((page for page in pages if page), None))

    def action_jump(self) -> None:
        """Show a letter at every field; the letter goes there."""
        from mi_tui.tui.screens.dialogs.jump import jump_on

        jump_on(self.screen)

    def action_change_theme(self) -> None:
        """Choose a theme, seeing it."""
        from mi_tui.tui.screens.dialogs.themes import ThemesScreen

        def chosen(name: str | None) -> None:
            if name is not None:
                remember("theme", name)

        own = sorted(name for name in self.available_themes if name in self._own_themes)
        others = sorted(name for name in self.available_themes if name not in self._own_themes)
        self.push_screen(ThemesScreen([*own, *others], self.theme, self._theme_watch), chosen)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: the screen's own keys by name, then the themes."""
        offered: set[str] = set()
        for active in screen.active_bindings.values():
            if active.tooltip and active.enabled and active.binding.action not in offered:
                offered.add(active.binding.action)  # several keys may do the same
                run = partial(self.run_action, active.binding.action, active.node)
                yield SystemCommand(active.binding.description, active.tooltip, run)
        yield SystemCommand("Theme", "Choose a theme, seeing it", self.action_change_theme)

    def action_keys(self) -> None:
        """The keys of this screen."""
        self._help(None)

    def _help(self, page: str | None) -> None:
        from mi_tui.tui.screens.dialogs.help import HelpScreen, keys_shown_by

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(page, keys_shown_by(self.screen)))

    async def action_quit(self) -> None:
        """Leave at once, and say how to come back to a study that goes on."""
        session = self._watch.session
        view = session.view if session else None
        self._watch.close()
        if view is not None and view.state.is_active:
            again = StudyFolder(view.path).reference
            self.exit(f"The study is still running. To watch it again: mi-tui watch {again}")
        else:
            self.exit()

    def _handle_exception(self, error: Exception) -> None:
        """Note an error that nobody expected: the command ends with it, in one line."""
        if isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error
        self.unexpected = self.unexpected or error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Leave without textual's traceback of everything, unless it is asked for."""
        if os.environ.get("MI_TUI_DEBUG"):
            super()._fatal_error()
        else:
            self._close_messages_no_wait()

    def _look_at_theme(self) -> None:
        if self._theme_watch.is_needed:
            for problem in self._theme_watch.look():
                self.notify(problem.message, severity="warning", markup=False)

    def _leave_guide(self) -> None:
        while len(self.screen_stack) > 2:
            self.pop_screen()

    def _notify_error(self, error: MiTuiError) -> None:
        self.notify(str(error), severity="error", markup=False, timeout=12)


def _keys_by_screen() -> dict[str, dict[str, str]]:
    # Every screen is imported for them: needed only where keys are bound anew.
    from mi_tui.tui.keys import ids_by_place

    return ids_by_place()
