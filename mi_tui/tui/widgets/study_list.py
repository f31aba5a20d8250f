"""The list of the home screen: what can be started, the studies, the machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets.option_list import Option

from mi_tui.present import numbers, signs
from mi_tui.present.progress import share_done
from mi_tui.study.view import StudyEntry, StudyState
from mi_tui.tui.runtime.colours import rich_colour
from mi_tui.tui.widgets.menu import MenuList

_STATE_COLOURS = {
    StudyState.RUNNING: "success",
    StudyState.STARTING: "success",
    StudyState.DONE: "primary",
    StudyState.PAUSED: "warning",
    StudyState.INTERRUPTED: "warning",
    StudyState.FAILED: "error",
}

_RESUMED = (StudyState.NEW, StudyState.INTERRUPTED)
"""The states in which opening a study lets it go on."""

_COLUMNS, _NOTE = 57, 24
"""The room of the columns beside the name, and what a note needs at least."""

_NOTE_FROM = 100
"""The width of the list from which notes stand in it."""


@dataclass(frozen=True, slots=True)
class HomeContent:
    """What the list shows: the studies with a text, those that are marked, and the machine."""

    studies: tuple[StudyEntry, ...] = ()
    wanted: str = ""
    marked: frozenset[str] = field(default_factory=frozenset)
    machine: str = ""

    @property
    def shown(self) -> tuple[StudyEntry, ...]:
        """The studies with the text in their name, title or note."""
        wanted = self.wanted.lower()
        return tuple(
            entry
            for entry in self.studies
            if any(wanted in text.lower() for text in (entry.name, entry.title, entry.note))
        )


def id_of(entry: StudyEntry) -> str:
    """The id of a study's line."""
    return f"study:{entry.path}"


class StudyList(MenuList):
    """Lines to choose from; ids are ``new``, ``presets``, ``demo`` and those of :func:`id_of`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="home.open", tooltip="Open what the cursor is on"),
        Binding(
            "enter",
            "resume",
            "Resume",
            id="home.resume",
            tooltip="Open the study, and let it go on where it was interrupted",
        ),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False, compact=True)
        self._content = HomeContent()
        self._drawn: list[tuple[str, str]] = []

    @property
    def under_cursor(self) -> StudyEntry | None:
        """The study under the cursor, if there is one."""
        id = self._id_under_cursor
        return next((entry for entry in self._content.studies if id_of(entry) == id), None)

    @staticmethod
    def goes_on(entry: StudyEntry) -> bool:
        """Whether opening a study lets it go on."""
        return entry.state in _RESUMED

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter opens or resumes, by what is under the cursor."""
        del parameters
        entry = self.under_cursor
        resumes = entry is not None and self.goes_on(entry)
        return {"open": not resumes, "resume": resumes}.get(action, True)

    def action_open(self) -> None:
        """Choose the line under the cursor."""
        self.action_select()

    def action_resume(self) -> None:
        """Choose it, too: the screen sees that the study is interrupted."""
        self.action_select()

    def show(self, content: HomeContent) -> None:
        """Draw what has changed; the cursor stays on its line."""
        self._content = content
        lines = self._composed()
        for _, text in lines:
            text.truncate(self._room(2), overflow="ellipsis")  # a list wraps what is longer
        drawn = [(id or "", text.plain) for id, text in lines]
        if drawn == self._drawn:
            return
        self._drawn = drawn
        under = self._id_under_cursor
        self.clear_options()
        self.add_options(Option(text, id=id, disabled=id is None) for id, text in lines)
        ids = [id for id, _ in lines]
        self.highlighted = ids.index(under) if under is not None and under in ids else 1

    def on_resize(self) -> None:
        """Columns follow the width."""
        self.show(self._content)

    @property
    def _id_under_cursor(self) -> str | None:
        return None if self.highlighted is None else self.get_option_at_index(self.highlighted).id

    def _composed(self) -> list[tuple[str | None, Text]]:
        lines: list[tuple[str | None, Text]] = [
            (None, self._heading("Start")),
            ("new", self._start_line("New study", "choose an Instruct and a Thinking checkpoint")),
            ("presets", self._start_line("From a preset", "the paper's tables, and your own")),
            ("demo", self._start_line("Demo", "the bundled pair on two CPU cores, about a minute")),
            (None, Text("")),
            (None, self._study_titles()),
        ]
        content = self._content
        lines += [(id_of(entry), self._study_line(entry)) for entry in content.shown]
        if words := _count_words(content.shown, content):
            lines.append((None, Text(words, style=self._colour("secondary"))))
        if content.machine:
            machine = Text(f"  {content.machine}", self._colour("secondary"), no_wrap=True)
            lines += [(None, Text("")), (None, self._heading("This machine")), (None, machine)]
        return lines

    def _heading(self, title: str) -> Text:
        return Text(title, style=f"bold {self._colour('accent')}")

    def _start_line(self, name: str, words: str) -> Text:
        head = f"  {numbers.cut(name, 22):<24}"
        return Text.assemble(head, (words, self._colour("secondary")), no_wrap=True)

    def _study_titles(self) -> Text:
        name = f"{'Studies':<{self._name_width + 2}}"
        note = "  Note" if self._has_notes else ""
        columns = f"{'State':<14}{'Progress':<16}{'Best':<10}{'Last change':<11}{note}"
        return self._heading(f"{name}  {columns}")

    def _study_line(self, entry: StudyEntry) -> Text:
        width = self._name_width
        share = share_done(entry.rollouts, entry.planned, ended=not entry.state.is_active)
        colour = self._colour(_STATE_COLOURS.get(entry.state, "foreground"))
        best = entry.best if entry.best.startswith("λ") else numbers.MISSING
        mark = signs.MARKED if id_of(entry) in self._content.marked else " "
        line = Text.assemble(
            f"{mark} {numbers.cut(entry.name, width):<{width}}  ",
            (f"{signs.state(entry.state):<14}", colour),
            f"{numbers.bar(share, 8)} {numbers.percent(share):>5}  ",
            f"{numbers.cut(best, 9):<10}",
            (f"{numbers.ago(entry.modified):<11}", self._colour("secondary")),
            no_wrap=True,
        )
        if self._has_notes:
            line.append(f"  {entry.note}", self._colour("secondary"))
        return line

    @property
    def _has_notes(self) -> bool:
        return self.size.width >= _NOTE_FROM and any(e.note for e in self._content.studies)

    @property
    def _name_width(self) -> int:
        taken = _COLUMNS + (_NOTE if self._has_notes else 0)
        return min(max(self._room(taken), 14), 44)

    def _room(self, taken: int) -> int:
        return max(10, self.size.width - taken)

    def _colour(self, name: str) -> str:
        return rich_colour(self.app, name)


def _count_words(shown: Sequence[StudyEntry], content: HomeContent) -> str:
    """How many studies a filter leaves, or that there are none; nothing where all are shown."""
    if not shown:
        return f"  none with {content.wanted!r} (/ changes it)" if content.studies else "  none yet"
    if content.wanted:
        return f"  with {content.wanted!r} of {len(content.studies)}: / changes it"
    return ""
