"""The engine of a study in words: which it is and why, its memory, and the time it may take."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mi_tui.plan.preset import Preset
from mi_tui.present import numbers

if TYPE_CHECKING:
    from mi_tui.engines.choice import EngineChoice


def engine_lines(preset: Preset, choice: "EngineChoice") -> Iterator[str]:
    """One line on the engine and one on its memory, each with its name before it."""
    yield f"engine  {choice.sentence}{expected_time(preset, choice)}"
    yield f"memory  {choice.memory.sentence}"


def expected_time(preset: Preset, choice: "EngineChoice") -> str:
    """How long transformers may take where it was chosen, with its comma; empty else.

    Reckoned from sizes alone, every response as long as its cap: an upper bound of a rough kind.
    """
    seconds = reckoned_seconds(preset, choice)
    if not choice.chosen or not seconds:
        return ""
    return f"; generating takes {numbers.duration(seconds)} at most, by a rough estimate"


def reckoned_seconds(preset: Preset, choice: "EngineChoice") -> float:
    """The seconds that a study on transformers takes at most, as reckoned; 0: not known."""
    from mi_tui.analysis.search.forecast import forecast, problem_count  # they bring NumPy
    from mi_tui.engines.expected_speed import tokens_per_second

    sizes = [problem_count(plan) for plan in preset.probes if plan.kind != "lm-eval"]
    known = [size for size in sizes if size is not None]
    if choice.kind != "transformers" or len(known) < len(preset.probes):
        return 0.0
    speed = tokens_per_second(choice.memory, choice.layers)
    return forecast(preset, known).most_tokens / speed if speed else 0.0
