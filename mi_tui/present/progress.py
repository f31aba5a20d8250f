"""The progress and the state of a study, in one line each."""

from rich.text import Text

from mi_tui.present import numbers
from mi_tui.present.colours import Colours
from mi_tui.study.view import StudyState, StudyView

_COLOURS = {
    StudyState.FAILED: "error",
    StudyState.PAUSED: "warning",
    StudyState.INTERRUPTED: "warning",
    StudyState.STOPPED: "warning",
}


def progress_line(colours: Colours, view: StudyView) -> Text:
    """State, bar, rollouts, speed, time left and passed, memory."""
    now = view.progress
    share = now.rollouts / now.planned if now.planned else 0.0
    colour = _state_colour(colours, view.state)
    parts = [f"{now.rollouts:,}/{now.planned:,} rollouts"]
    if view.state.is_active:
        parts.append(f"{numbers.count(now.tokens_per_second)} tok/s")
        if now.eta_seconds is not None:
            parts.append(f"{numbers.duration(now.eta_seconds)} left")
    parts.append(f"{numbers.duration(now.elapsed_seconds)} so far")
    if now.device_memory and view.state.is_active:
        parts.append(now.device_memory)
    return Text.assemble(
        (f" {numbers.state_words(view.state)} ", f"bold {colour}"),
        (f" {numbers.bar(share, 10)} ", colour),
        f"{numbers.percent(share):>5}  ",
        " · ".join(parts),
        no_wrap=True,
        overflow="ellipsis",
    )


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
