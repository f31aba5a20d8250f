"""The home screen: a new study, presets, the studies there are."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from mi_tui import __version__
from mi_tui.errors import MiTuiError
from mi_tui.present import numbers, signs
from mi_tui.present.progress import share_done
from mi_tui.study.storage.folder import name_problem
from mi_tui.study.view import StudyEntry, StudyState
from mi_tui.tui.forms.draft import draft_of, new_draft
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.ask import AskScreen, ConfirmScreen
from mi_tui.tui.studies.messages import NewStudy, OpenStudy, ShowPresets
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.menu import MenuList

_LOOK_AGAIN = 3.0
"""Seconds between two looks at the studies folder."""

_SHOW_AGAIN = 20.0
"""Seconds after which a list that has not changed is drawn again: its last column is told in
minutes."""

_STATE_COLOURS = {
    StudyState.RUNNING: "success",
    StudyState.STARTING: "success",
    StudyState.DONE: "primary",
    StudyState.PAUSED: "warning",
    StudyState.INTERRUPTED: "warning",
    StudyState.FAILED: "error",
}


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
            tooltip="Show only the studies whose name or title has a text",
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
        self._studies: dict[str, StudyEntry] = {}
        self._entries: tuple[StudyEntry, ...] = ()
        self._timer: Timer | None = None
        self._shown: list[tuple[str, str]] = []
        self._machine = ""
        self._show_again = 0.0
        self._filter = ""
        self._marked: set[str] = set()

    def compose(self) -> ComposeResult:
        """A title line, the list, the footer."""
        yield Static(self._title(), id="home-title", markup=False)
        yield MenuList(id="home-list", markup=False, compact=True)
        yield Static("", id="status", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look at the studies now and again; ask once what the machine is."""
        self._show()
        self._look()
        start(self, self._ask_machine, group="machine")
        self._timer = self.set_interval(_LOOK_AGAIN, self._look)

    def on_unmount(self) -> None:
        """Stop looking."""
        self._thread.close()

    def on_resize(self) -> None:
        """Columns follow the width."""
        self._show()

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
                self._filter = text.strip()
                self._show()

        question = "Show the studies with which text? (empty: all)"
        self.app.push_screen(AskScreen(question, self._filter, lambda _: ""), take)

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

    def action_delete(self) -> None:
        """Delete the study under the cursor, after a yes."""
        entry = self._under_cursor()
        if entry is None:
            return

        def delete(yes: bool | None) -> None:
            if yes:
                self._change(partial(self._services.delete, entry.path))

        stopped = " It is stopped first." if entry.state.is_active else ""
        lost = f"its {entry.rollouts:,} rollouts and its exports"
        self.app.push_screen(ConfirmScreen(f"Delete {entry.name}, {lost}?{stopped}"), delete)

    def action_mark(self) -> None:
        """Mark the study under the cursor, or take the mark away."""
        if (entry := self._under_cursor()) is not None:
            self._marked ^= {f"study:{entry.path}"}
            self._show()

    def action_compare(self) -> None:
        """Show the marked studies and the one under the cursor side by side."""
        from mi_tui.tui.screens.reading.studies import StudiesScreen

        listed = self.query_one(MenuList)
        under = None
        if listed.highlighted is not None:
            under = listed.get_option_at_index(listed.highlighted).id
        paths = [e.path for id, e in self._studies.items() if id in self._marked or id == under]
        if len(paths) < 2:
            self._say("Mark one study with Space, go to another, and press c again.")
        else:
            self.app.push_screen(StudiesScreen(paths, self._services))

    def _under_cursor(self) -> StudyEntry | None:
        """The study under the cursor; a word where there is none."""
        listed = self.query_one(MenuList)
        if listed.highlighted is not None:
            id = listed.get_option_at_index(listed.highlighted).id
            if id in self._studies:
                return self._studies[id]
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
        elif chosen in self._studies:
            entry = self._studies[chosen]
            fresh = entry.state in (StudyState.NEW, StudyState.INTERRUPTED)
            self.post_message(OpenStudy(entry.path, go_on=fresh))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say more about the line under the cursor."""
        self.query_one("#status", Static).update(self._about(event.option.id or ""))

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
        if entries is not self._entries:
            self._entries = entries
            self._studies = {f"study:{entry.path}": entry for entry in entries}
        elif time.monotonic() < self._show_again:
            return  # nothing has changed but, once a minute, how long ago that was
        self._show()

    async def _ask_machine(self) -> None:
        self._machine = await self._thread.run(self._services.machine)
        if is_open(self):
            self._show()

    def _show(self) -> None:
        self._show_again = time.monotonic() + _SHOW_AGAIN
        lines = self._lines()
        for _, text in lines:
            text.truncate(self._room(4), overflow="ellipsis")  # a list wraps what is longer
        known = [(id or "", text.plain) for id, text in lines]
        if known == self._shown:
            return
        self._shown = known
        listed = self.query_one(MenuList)
        under = None
        if listed.highlighted is not None:
            under = listed.get_option_at_index(listed.highlighted).id
        listed.clear_options()
        listed.add_options(Option(text, id=id, disabled=id is None) for id, text in lines)
        ids = [id for id, _ in lines]
        listed.highlighted = ids.index(under) if under is not None and under in ids else 1

    def _lines(self) -> list[tuple[str | None, Text]]:
        lines: list[tuple[str | None, Text]] = [
            (None, self._heading("Start")),
            ("new", self._start_line("New study", "choose an Instruct and a Thinking checkpoint")),
            ("presets", self._start_line("From a preset", "the paper's tables, and your own")),
            ("demo", self._start_line("Demo", "the bundled pair on two CPU cores, about a minute")),
        ]
        lines += [(None, Text("")), (None, self._heading("Studies", *self._study_titles()))]
        wanted = self._filter.lower()
        shown = [
            (id, self._study_line(entry, marked=id in self._marked))
            for id, entry in self._studies.items()
            if wanted in entry.name.lower() or wanted in entry.title.lower()
        ]
        lines += shown
        if not shown:
            none = f"  none with {self._filter!r} (/ changes it)" if self._studies else "  none yet"
            lines.append((None, Text(none, style=rich_colour(self.app, "secondary"))))
        elif wanted:
            words = f"  with {self._filter!r} of {len(self._studies)}: / changes it"
            lines.append((None, Text(words, style=rich_colour(self.app, "secondary"))))
        if self._machine:
            machine = numbers.cut(f"  {self._machine}", self._room(4))
            lines += [
                (None, Text("")),
                (None, self._heading("This machine")),
                (None, Text(machine, rich_colour(self.app, "secondary"), no_wrap=True)),
            ]
        return lines

    def _heading(self, title: str, *columns: str) -> Text:
        return Text(f"{title}{''.join(columns)}", style=f"bold {rich_colour(self.app, 'accent')}")

    def _start_line(self, name: str, words: str) -> Text:
        return Text.assemble(
            f"  {numbers.cut(name, 22):<24}",
            (words, rich_colour(self.app, "secondary")),
            no_wrap=True,
        )

    def _study_titles(self) -> tuple[str, ...]:
        name = self._name_width() - len("Studies") + 2
        return (" " * name, f"  {'State':<14}{'Progress':<18}{'Best':<10}{'Last change':<12}")

    def _study_line(self, entry: StudyEntry, *, marked: bool = False) -> Text:
        width = self._name_width()
        share = share_done(entry.rollouts, entry.planned, ended=not entry.state.is_active)
        colour = rich_colour(self.app, _STATE_COLOURS.get(entry.state, "foreground"))
        best = entry.best if entry.best.startswith("λ") else numbers.MISSING
        return Text.assemble(
            f"{signs.MARKED if marked else ' '} {numbers.cut(entry.name, width):<{width}}  ",
            (f"{signs.state(entry.state):<14}", colour),
            f"{numbers.bar(share, 10)} {numbers.percent(share):>5}  ",
            f"{numbers.cut(best, 9):<10}",
            (numbers.ago(entry.modified), rich_colour(self.app, "secondary")),
            no_wrap=True,
        )

    def _name_width(self) -> int:
        return min(max(self._room(60), 14), 44)

    def _room(self, taken: int) -> int:
        return max(10, self.size.width - taken)

    def _about(self, id: str) -> Text:
        if id in self._studies:
            entry = self._studies[id]
            return Text(entry.best if entry.state is StudyState.FAILED else str(entry.path))
        return Text("")

    @staticmethod
    def _title() -> Text:
        return Text.assemble(
            (f" mi-tui {__version__} ", "bold"),
            "  find the λ between Instruct and Thinking that fits your budget",
            no_wrap=True,
            overflow="ellipsis",
        )
