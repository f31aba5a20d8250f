"""The home screen: a new study, presets, the studies there are."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, OptionList, Static

from mi_tui import __version__
from mi_tui.errors import MiTuiError
from mi_tui.study.storage.folder import name_problem
from mi_tui.study.storage.note import note_problem
from mi_tui.study.view import StudyEntry, StudyState
from mi_tui.text.plurals import counted
from mi_tui.tui.forms.draft import draft_of, new_draft
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.ask import AskScreen, ConfirmScreen
from mi_tui.tui.studies.messages import NewStudy, OpenStudy, ShowPresets
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.study_list import HomeContent, StudyList, id_of
from mi_tui.tui.widgets.study_preview import PreviewPane

_LOOK_AGAIN = 3.0
"""Seconds between two looks at the studies folder."""

_SHOW_AGAIN = 20.0
"""Seconds after which a list that has not changed is drawn again: its last column is told in
minutes."""

_READ_AFTER = 0.25
"""Seconds that the cursor rests on a study before its preview is read."""


class HomeScreen(Screen[None]):
    """New study, preset, demo; the studies with state, progress and best λ; the machine."""

    HELP_PAGE = "home"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New study", id="home.new", tooltip="Choose two checkpoints"),
        Binding(
            "p", "presets", "Presets", id="home.presets", tooltip="A study written down as a file"
        ),
        Binding(
            "d", "demo", "Demo", id="home.demo", tooltip="The bundled pair, every step filled in"
        ),
        Binding(
            "slash",
            "filter",
            "Filter",
            key_display="/",
            id="home.filter",
            tooltip="Show only the studies whose name, title or note has a text, such as #tag",
        ),
        Binding(
            "e",
            "again",
            "Again",
            show=False,
            id="home.again",
            tooltip="A new study with the settings of the one under the cursor",
        ),
        Binding("r", "rename", "Rename", show=False, id="home.rename", tooltip="Rename the study"),
        Binding(
            "t",
            "note",
            "Note",
            show=False,
            id="home.note",
            tooltip="Note a line on the study; words that begin with # are tags",
        ),
        Binding(
            "x",
            "delete",
            "Delete",
            show=False,
            id="home.delete",
            tooltip="Delete the study and its exports; asks first",
        ),
        Binding(
            "space",
            "mark",
            "Mark",
            show=False,
            id="home.mark",
            tooltip="Mark the study, to compare it with others",
        ),
        Binding(
            "c",
            "compare",
            "Compare",
            show=False,
            id="home.compare",
            tooltip="The marked studies and the one under the cursor, side by side",
        ),
        Binding("q", "app.quit", "Quit", id="home.quit", tooltip="Leave; running studies go on"),
    ]

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._thread = Background("studies list")
        self._content = HomeContent()
        self._show_again = 0.0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """A title line, the list, the preview, the footer."""
        yield Static(self._title(), id="home-title", markup=False)
        with Container(id="home-panes"):
            yield StudyList(id="home-list")
            yield PreviewPane(id="home-preview", classes="-hidden")
        yield Static("", id="status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look at the studies now and again; ask once what the machine is."""
        self._show(HomeContent())
        self._look()
        start(self, self._ask_machine, group="machine")
        self._timer = self.set_interval(_LOOK_AGAIN, self._look)

    def on_unmount(self) -> None:
        """Stop looking."""
        self._thread.close()

    def on_resize(self) -> None:
        """The preview has a curve where it is wide enough."""
        self.call_after_refresh(self._preview_soon)

    def on_screen_suspend(self) -> None:
        """Rest while another screen is open."""
        if self._timer is not None:
            self._timer.pause()

    def on_screen_resume(self) -> None:
        """Show at once what happened meanwhile."""
        if self._timer is not None:
            self._timer.resume()
        self._look()

    def action_new(self) -> None:
        """A study from nothing."""
        self.post_message(NewStudy(new_draft()))

    def action_presets(self) -> None:
        """Browse the presets."""
        self.post_message(ShowPresets())

    def action_demo(self) -> None:
        """The study of the bundled pair."""
        try:
            preset = self._services.demo_preset()
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.post_message(NewStudy(draft_of(preset)))

    def action_filter(self) -> None:
        """Ask for the text that a study's name or title must have."""

        def take(text: str | None) -> None:
            if text is not None:
                self._show(replace(self._content, wanted=text.strip()))

        question = "Show the studies with which text or #tag? (empty: all)"
        self.app.push_screen(AskScreen(question, self._content.wanted, lambda _: ""), take)

    def action_again(self) -> None:
        """Open the guide with the settings of the study under the cursor."""
        if (entry := self._under_cursor()) is not None:
            start(self, partial(self._again, entry.path), group="again")

    def action_rename(self) -> None:
        """Ask for another name of the study under the cursor."""
        entry = self._under_cursor()
        if entry is None:
            return

        def rename(name: str | None) -> None:
            if name is not None and name != entry.name:
                self._change(partial(self._services.rename, entry.path, name))

        self.app.push_screen(AskScreen("Which name?", entry.name, name_problem), rename)

    def action_note(self) -> None:
        """Ask for a line on the study under the cursor."""
        entry = self._under_cursor()
        if entry is None:
            return

        def note(text: str | None) -> None:
            if text is not None and text.strip() != entry.note:
                self._change(partial(self._services.annotate, entry.path, text))

        question = f"Note on {entry.name}? (words that begin with # are tags)"
        self.app.push_screen(AskScreen(question, entry.note, note_problem), note)

    def action_delete(self) -> None:
        """Delete the study under the cursor, after a yes."""
        entry = self._under_cursor()
        if entry is None:
            return

        def delete(yes: bool | None) -> None:
            if yes:
                self._change(partial(self._services.delete, entry.path))

        stopped = " It is stopped first." if entry.state.is_active else ""
        lost = f"its {counted(entry.rollouts, 'rollout')} and its exports"
        self.app.push_screen(ConfirmScreen(f"Delete {entry.name}, {lost}?{stopped}"), delete)

    def action_mark(self) -> None:
        """Mark the study under the cursor, or take the mark away."""
        if (entry := self._under_cursor()) is not None:
            marked = self._content.marked ^ {id_of(entry)}
            self._show(replace(self._content, marked=marked))

    def action_compare(self) -> None:
        """Show the marked studies and the one under the cursor side by side."""
        from mi_tui.tui.screens.reading.studies import StudiesScreen

        under = self.query_one(StudyList).under_cursor
        paths = [
            entry.path
            for entry in self._content.studies
            if entry is under or id_of(entry) in self._content.marked
        ]
        if len(paths) < 2:
            self._say("Mark one study with Space, go to another, and press c again.")
        else:
            self.app.push_screen(StudiesScreen(paths, self._services))

    def _under_cursor(self) -> StudyEntry | None:
        """The study under the cursor; a word where there is none."""
        if (entry := self.query_one(StudyList).under_cursor) is not None:
            return entry
        self._say("Go to a study first.")
        return None

    def _say(self, words: str) -> None:
        self.query_one("#status", Static).update(Text(words))

    def _change(self, call: Callable[[], object]) -> None:
        """Change a study's directory behind the screen, and read the list again."""

        async def change() -> None:
            try:
                await self._thread.run(call)
            except MiTuiError as error:
                self.notify(str(error), severity="error", markup=False, timeout=12)
            if is_open(self):
                await self._read_studies()

        start(self, change, group="change", exclusive=False)

    async def _again(self, path: Path) -> None:
        try:
            preset = await self._thread.run(partial(self._services.preset_of, path))
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if is_open(self):
            self.post_message(NewStudy(draft_of(preset)))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Do what the line says."""
        chosen = event.option.id or ""
        if chosen == "new":
            self.action_new()
        elif chosen == "demo":
            self.action_demo()
        elif chosen == "presets":
            self.action_presets()
        elif (entry := self.query_one(StudyList).under_cursor) is not None:
            self.post_message(OpenStudy(entry.path, go_on=StudyList.goes_on(entry)))

    def on_option_list_option_highlighted(self) -> None:
        """Say more about the line under the cursor."""
        entry = self.query_one(StudyList).under_cursor
        self._say(_about(entry) if entry is not None else "")
        self.refresh_bindings()  # Enter opens or resumes
        if entry is None:
            self.query_one(PreviewPane).hide()
        self._preview_soon()

    def _preview_soon(self) -> None:
        start(self, self._preview, group="preview")

    async def _preview(self) -> None:
        """Read what the study under the cursor is about, once the cursor rests."""
        await asyncio.sleep(_READ_AFTER)
        entry = self.query_one(StudyList).under_cursor if is_open(self) else None
        if entry is None:
            return
        try:
            preview = await self._thread.run(partial(self._services.preview, entry.path))
        except MiTuiError:
            preview = None  # the line says why the study cannot be read
        if is_open(self) and entry == self.query_one(StudyList).under_cursor:
            pane = self.query_one(PreviewPane)
            pane.hide() if preview is None else pane.show(entry, preview)

    def _look(self) -> None:
        if self.is_current:
            start(self, self._read_studies)

    async def _read_studies(self) -> None:
        try:
            entries = await self._thread.run(self._services.studies)
        except MiTuiError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if not is_open(self):
            return
        if entries is not self._content.studies:
            self._show(replace(self._content, studies=entries))
            self._preview_soon()
        elif time.monotonic() >= self._show_again:
            self._show(self._content)  # nothing has changed but how long ago that was

    async def _ask_machine(self) -> None:
        machine = await self._thread.run(self._services.machine)
        if is_open(self):
            self._show(replace(self._content, machine=machine))

    def _show(self, content: HomeContent) -> None:
        self._content = content
        self._show_again = time.monotonic() + _SHOW_AGAIN
        self.query_one(StudyList).show(content)

    @staticmethod
    def _title() -> Text:
        return Text.assemble(
            (f" mi-tui {__version__} ", "bold"),
            "  find the λ between Instruct and Thinking that fits your budget",
            no_wrap=True,
            overflow="ellipsis",
        )


def _about(entry: StudyEntry) -> str:
    """Why a study failed, or where it is."""
    return entry.best if entry.state is StudyState.FAILED else str(entry.path)
