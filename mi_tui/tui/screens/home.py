"""The home screen: a new study, presets, the studies there are."""

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
from mi_tui.study.view import StudyEntry, StudyState
from mi_tui.tui.forms.draft import draft_of, new_draft
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.studies.messages import NewStudy, OpenStudy, ShowPresets
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.menu import MenuList

_LOOK_AGAIN = 3.0
"""Seconds between two looks at the studies folder."""

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
        Binding("q", "app.quit", "Quit", id="home.quit", tooltip="Leave; running studies go on"),
    ]

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._thread = Background("studies list")
        self._studies: dict[str, StudyEntry] = {}
        self._timer: Timer | None = None
        self._shown: list[tuple[str, str]] = []
        self._machine = ""

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
        self._studies = {f"study:{entry.path}": entry for entry in entries}
        self._show()

    async def _ask_machine(self) -> None:
        self._machine = await self._thread.run(self._services.machine)
        if is_open(self):
            self._show()

    def _show(self) -> None:
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
        lines += [(id, self._study_line(entry)) for id, entry in self._studies.items()]
        if not self._studies:
            lines.append((None, Text("  none yet", style=rich_colour(self.app, "secondary"))))
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

    def _study_line(self, entry: StudyEntry) -> Text:
        width = self._name_width()
        share = share_done(entry.rollouts, entry.planned, ended=not entry.state.is_active)
        colour = rich_colour(self.app, _STATE_COLOURS.get(entry.state, "foreground"))
        best = entry.best if entry.best.startswith("λ") else numbers.MISSING
        return Text.assemble(
            f"  {numbers.cut(entry.name, width):<{width}}  ",
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
