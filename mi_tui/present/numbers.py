"""The spelling of numbers on every screen, one for each quantity."""

import time

from mi_tui.analysis.results import Estimate, RecipeSummary, Stage
from mi_tui.plan.recipe import Decoding
from mi_tui.study.view import StudyState

MISSING = "–"
"""Shown where there is no number yet."""

STAGE_SIGNS: dict[Stage, str] = {1: "○", 2: "◐", 3: "●"}
"""The sign beside a stage's number: an empty, a half and a full think ratio."""

STATE_SIGNS: dict[StudyState, str] = {
    StudyState.NEW: "·",
    StudyState.STARTING: "▹",
    StudyState.RUNNING: "▶",
    StudyState.PAUSED: "‖",
    StudyState.STOPPED: "■",
    StudyState.INTERRUPTED: "!",
    StudyState.DONE: "✓",
    StudyState.FAILED: "✗",
}
"""The sign beside a study's state."""


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1 as ``62 %``."""
    return MISSING if share is None else f"{100 * share:.{digits}f} %"


def percent_interval(estimate: Estimate, digits: int = 1) -> str:
    """A share with half its interval's width: ``62.1 ± 5.2``, in per cent."""
    half = (estimate.high - estimate.low) / 2
    if half >= 0.1:  # the digits behind the point would say nothing, and need room
        digits = 0
    return f"{100 * estimate.value:.{digits}f} ± {100 * half:.{digits}f}"


def share(row: RecipeSummary) -> str:
    """A row's score in per cent with half its interval's width, where that is known."""
    if row.preliminary:
        return f"{100 * row.score.value:.0f} ± ?"
    return percent_interval(row.score)


def length(row: RecipeSummary) -> str:
    """A row's tokens per response; of a preliminary one a lower bound."""
    if row.preliminary:
        return f"≥{count(row.tokens.value)} ± ?"
    return tokens(row.tokens, row.tokens_censored)


def count(number: float) -> str:
    """A count in at most five characters: ``950``, ``12.3k``, ``4.1M``."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            shown = number / (1e3 if suffix == "k" else size)
            return f"{shown:.0f}{suffix}" if shown >= 100 else f"{shown:.1f}{suffix}"
    return f"{number:.0f}"


def tokens(estimate: Estimate, censored: bool = False) -> str:
    """Tokens per response with half the interval's width; ``≥`` when lengths were cut."""
    half = (estimate.high - estimate.low) / 2
    known = half < 10 * estimate.value  # else a response or two, which say nothing yet
    return f"{'≥' if censored else ''}{count(estimate.value)} ± {count(half) if known else '?'}"


def seconds(value: float | None) -> str:
    """A duration of one response: ``0.31 s``, ``12 s``, ``3.5 min``."""
    if value is None:
        return MISSING
    if value < 10:
        return f"{value:.2f} s"
    return f"{value:.0f} s" if value < 100 else f"{value / 60:.1f} min"


def duration(value: float | None) -> str:
    """A time to wait or passed: ``42 s``, ``3:20 min``, ``2:05 h``, ``3.1 d``."""
    if value is None:
        return MISSING
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 48 * 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole / 86400:.1f} d"


def ago(moment: float, now: float | None = None) -> str:
    """How long ago a Unix time was: ``just now``, ``5 min ago``, ``3 d ago``."""
    passed = max(0.0, (time.time() if now is None else now) - moment)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= size:
            return f"{passed // size:.0f} {unit} ago"
    return "just now"


def stage_sign(stage: Stage | None) -> str:
    """``◐ 2``: a sign and a digit, so that colour is never needed to read it."""
    return MISSING if stage is None else f"{STAGE_SIGNS[stage]} {stage}"


def decoding(sampled: Decoding) -> str:
    """Temperature and top-p in a few cells: ``.6/.95``, ``1/.8``, ``greedy``."""
    if sampled.temperature == 0:
        return "greedy"
    return f"{sampled.temperature:g}/{sampled.top_p:g}".replace("0.", ".")


def state_words(state: StudyState) -> str:
    """``▶ running``."""
    return f"{STATE_SIGNS[state]} {state}"


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` characters, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def bar(share: float, width: int) -> str:
    """A progress bar of plain blocks, ``width`` characters long."""
    filled = round(min(1.0, max(0.0, share)) * width)
    return "━" * filled + "─" * (width - filled)
