"""Signs of states, stages, findings, verdicts and shades, so that no colour is needed."""

from typing import Literal

from mi_tui.analysis.results import Stage
from mi_tui.present.numbers import MISSING, percent
from mi_tui.study.view import StudyState

STAGES: dict[Stage, str] = {1: "○", 2: "◐", 3: "●"}
"""The sign beside a stage's number: an empty, a half and a full think ratio."""

STATES: dict[StudyState, str] = {
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

Level = Literal["ok", "warning", "error"]

FINDINGS: dict[Level, str] = {"ok": "✓", "warning": "!", "error": "✗"}
"""The sign before what was found about checkpoints."""

MARKED = "•"
"""Before a study that is marked to be compared."""

RECOMMENDED = "▸"
"""The sign before the recommended recipe."""

CAPPED = "▲"
"""The sign of Thinking whose thoughts are cut at a cap: no point of the curve over λ."""

SHADES = "░▒▓█"
"""From the smallest number of a map to the largest."""


def stage(number: Stage | None) -> str:
    """``◐ 2``: a sign and a digit."""
    return MISSING if number is None else f"{STAGES[number]} {number}"


def state(of: StudyState) -> str:
    """``▶ running``."""
    return f"{STATES[of]} {of}"


def answer(score: float | None, *, truncated: bool) -> str:
    """Right, partly right, wrong, not scored, or cut at the token cap, as one sign."""
    if truncated:
        return "…"
    if score is None:
        return "?"
    return "✓" if score >= 1.0 else "✗" if score <= 0.0 else "◐"


def verdict(score: float | None, *, truncated: bool, failure: str = "") -> str:
    """The same in a word or two; ``failure`` says why there is no score."""
    if truncated:
        return "cut at the token cap"
    if score is None or failure:
        return f"not scored: {failure}" if failure else "not scored"
    if 0.0 < score < 1.0:
        return f"{percent(score)} right"
    return "right" if score else "wrong"


def shade(share: float) -> str:
    """The shade of a share from 0 to 1, two characters wide."""
    return 2 * SHADES[min(int(max(share, 0.0) * len(SHADES)), len(SHADES) - 1)]
