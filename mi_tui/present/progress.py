"""The progress and the state of a study, in one line each."""

from rich.text import Text

from mi_tui.present import numbers, signs
from mi_tui.present.colours import Colours
from mi_tui.study.view import StudyState, StudyView

_COLOURS = {
    StudyState.FAILED: "error",
    StudyState.PAUSED: "warning",
    StudyState.INTERRUPTED: "warning",
    StudyState.STOPPED: "warning",
}


_WORTH_A_CLOCK = 600.0
"""Seconds left from which on the clock time of the end is shown."""

_NEARLY = 0.99
"""The most that is shown of a study that goes on: a search plans more as it learns."""


def share_done(rollouts: int, planned: int, *, ended: bool = True) -> float:
    """How much of a plan is done; 0 where nothing is planned yet, below 1 before the end."""
    share = rollouts / planned if planned else 0.0
    return share if ended else min(share, _NEARLY)


def share_of(view: StudyView) -> float:
    """How much of a study is done."""
    now = view.progress
    return share_done(now.rollouts, now.planned, ended=not view.state.is_active)


def how_far(view: StudyView) -> str:
    """Rollouts, and while a worker is at it speed, time left, time passed and memory."""
    now = view.progress
    parts = [f"{now.rollouts:,}/{now.planned:,} rollouts"]
    if view.state.is_active:
        parts.append(f"{numbers.count(now.tokens_per_second)} tok/s")
        if now.eta_seconds is not None:
            parts.append(_left(now.eta_seconds))
    parts.append(f"{numbers.duration(now.elapsed_seconds)} passed")
    if now.device_memory and view.state.is_active:
        parts.append(now.device_memory)
    return " · ".join(parts)


def _left(seconds: float) -> str:
    """The time left; of a longer one the clock time of its end, too."""
    left = f"{numbers.duration(seconds)} left"
    if seconds < _WORTH_A_CLOCK:
        return left
    return f"{left} (until {numbers.clock(seconds)})"


def progress_line(colours: Colours, view: StudyView) -> Text:
    """State, bar, share, and how far it is."""
    share = share_of(view)
    colour = _state_colour(colours, view.state)
    return Text.assemble(
        (f" {signs.state(view.state)} ", f"bold {colour}"),
        (f" {numbers.bar(share, 10)} ", colour),
        f"{numbers.percent(share):>5}  ",
        how_far(view),
        no_wrap=True,
        overflow="ellipsis",
    )


def plain_line(view: StudyView) -> str:
    """State, phase, share and how far it is, without signs: to be read aloud."""
    if not view.state.is_active:
        return f"{view.state}: {view.message}" if view.message else str(view.state)
    head = f"{view.state}: {view.progress.phase}" if view.progress.phase else str(view.state)
    if not view.progress.planned:
        return head
    share = share_of(view)
    return f"{head} · {numbers.percent(share)} · {how_far(view)}"


def status_line(colours: Colours, view: StudyView) -> Text:
    """What the worker is doing, or what is to be done."""
    if view.state is StudyState.DONE:
        return Text.assemble(("✓ ", colours("success")), "Done. Enter shows the recommendation.")
    if view.message:
        return Text(view.message, style=_state_colour(colours, view.state))
    words = " · ".join(part for part in (view.progress.phase, view.engine_note) if part)
    return Text(words, no_wrap=True, overflow="ellipsis")


def _state_colour(colours: Colours, state: StudyState) -> str:
    return colours(_COLOURS.get(state, "success"))
