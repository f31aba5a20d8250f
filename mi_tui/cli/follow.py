"""Displays of a running study on the terminal: live table, plain lines, or the end alone."""

import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mi_tui.api.study import Study
from mi_tui.cli.console import err
from mi_tui.cli.tables import results_table
from mi_tui.errors import MiTuiError, StoppedError
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import capped_thinking
from mi_tui.present.answer import answer_lines, so_far, what_ended
from mi_tui.present.columns import result_lines, spoken
from mi_tui.present.engine import engine_lines
from mi_tui.present.progress import plain_line
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.view import StudyState, StudyView


class Display(Protocol):
    """Shows a study while it changes."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, view: StudyView) -> None:
        """Show a new picture."""


class LiveDisplay:
    """A table that fills in place, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, view: StudyView) -> None:
        """Redraw table and progress."""
        self._live.update(_picture(view, self._live.console.width), refresh=True)


class PlainDisplay:
    """One line for each step forward, for pipes and screen readers: nothing is drawn over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = ""
        self._said = ""
        self._next = 0.0

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, view: StudyView) -> None:
        """Print the progress when the phase changes and now and then, the answer as it moves."""
        line = plain_line(view)
        step = f"{view.state} {view.progress.phase}"
        if step == self._shown and time.monotonic() < self._next:
            return
        self._shown, self._next = step, time.monotonic() + 5.0
        self._console.print(line, markup=False)
        answer = view.recommendation
        if answer is not None and view.state.is_active and answer.recipe.label != self._said:
            self._said = answer.recipe.label
            self._console.print(so_far(answer), markup=False)


def _picture(view: StudyView, room: int) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{view.preset.title} · {view.name}", style="bold")]
    if view.rows:
        parts.append(results_table(view, room))
    parts.append(Text(plain_line(view)))
    if view.recommendation:
        parts.append(Text(so_far(view.recommendation), style="dim"))
    return Group(*parts)


def display_for(plain: bool) -> Display:
    """The display that suits standard error and the wish."""
    console = err()
    # On a dumb terminal rich would draw nothing at all until the end.
    in_place = sys.stderr.isatty() and not console.is_dumb_terminal
    return PlainDisplay(console) if plain or not in_place else LiveDisplay(console)


def run_study(
    preset: Preset, path: Path | None, *, plain: bool, trust_remote_code: bool = False
) -> StudyView:
    """Make a study, or go on with the one at ``path``, and show it until its worker has ended.

    The first Ctrl-C asks it to stop and waits for that; a second leaves at once.

    Raises:
        RemoteCodeError: it would run code that was never allowed, and is not allowed now.
        MiTuiError: the study cannot run, or has failed.
    """
    with Study.create(preset, path, trust_remote_code=trust_remote_code) as study:
        for line in engine_lines(study.preset, study.engine()):
            err().print(line, markup=False)
        return _followed(study.start(), plain=plain)


def extend(
    reference: str,
    until: str,
    budget: str | None,
    *,
    thinking_caps: Iterable[int] = (),
    plain: bool,
    trust_remote_code: bool = False,
) -> StudyView:
    """Let a study that has ended go on, and show it until its worker has ended.

    Raises:
        MiTuiError: the study cannot go on, or has failed.
    """
    with Study.load(reference) as study:
        if trust_remote_code:
            study.trust_remote_code()
        study.extend(until, budget=budget)
        study.add(capped_thinking(cap, study.preset.decoding) for cap in thinking_caps)
        return _followed(study, plain=plain)


def _followed(study: Study, *, plain: bool) -> StudyView:
    def stop() -> None:
        study.request("stop")
        err().print("stopping; what was measured is kept", markup=False)

    view = follow(study, display_for(plain), stop)
    if view.state is StudyState.FAILED:
        raise MiTuiError(f"the study failed: {view.message}")
    return view


def require_ended(view: StudyView) -> None:
    """Say how a study goes on that was stopped before its end.

    Raises:
        StoppedError: it was stopped.
        MiTuiError: its worker is gone.
    """
    if view.state in (StudyState.STOPPED, StudyState.INTERRUPTED):
        folder = StudyFolder(view.path)
        again = shlex.join(["mi-tui", "run", str(folder.preset), "--study", str(folder.path)])
        kind = StoppedError if view.state is StudyState.STOPPED else MiTuiError
        raise kind(f"stopped before the end; to resume: {again}")


def follow(study: Study, display: Display, on_interrupt: Callable[[], None]) -> StudyView:
    """Show a study until its worker has ended; Ctrl-C calls ``on_interrupt`` and goes on once.

    A second Ctrl-C leaves at once. Returns the last picture.
    """
    interrupted = False
    with display:
        while True:
            try:
                return _show(study, display)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                on_interrupt()


def _show(study: Study, display: Display) -> StudyView:
    for view in study.follow():
        display.show(view)
    return view


def print_result(view: StudyView, console: Console, *, plain: bool = False) -> None:
    """The final table and the answer in words; ``plain`` writes the table as sentences, too."""
    answer = view.recommendation
    if plain:
        for line in result_lines(view.rows, answer.row_key if answer else None):
            console.print(spoken(line), markup=False)
    elif view.rows:
        console.print(results_table(view, console.width))
    for text in answer_lines(answer, what_ended(view)) if answer else [plain_line(view)]:
        console.print(text, markup=False)
