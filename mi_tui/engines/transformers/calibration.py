"""Calibration: speed of the single merged model, to the first token, per token, and by context."""

from collections.abc import Callable, Sequence

import numpy as np

from mi_tui.analysis.results import LatencyPoint
from mi_tui.engines.transformers.decoding.timing import Speed

_LONGEST = {"cuda": 8192}
_LONGEST_ELSEWHERE = 2048
_MOST_AT_ONCE = {"cuda": 256}
_MOST_AT_ONCE_ELSEWHERE = 16
_SHARE = 0.25
"""Of the free memory: what the caches of the timed sequences may take."""

Timed = Callable[[int, int], Speed]
"""Measures (sequences, tokens of context)."""


def calibrate(
    concurrencies: Sequence[int], longest: Callable[[int], int], timed: Timed, block: int = 1
) -> tuple[LatencyPoint, ...]:
    """One point for each concurrency.

    Args:
        concurrencies: sequences at once.
        longest: the longest context to measure with so many sequences; 0 where there is no room.
        timed: takes one measurement.
        block: contexts are whole multiples of so many tokens.
    """
    return tuple(_point(sequences, longest(sequences), timed, block) for sequences in concurrencies)


def _point(sequences: int, longest: int, timed: Timed, block: int) -> LatencyPoint:
    """A short context, and up to two longer ones with a straight line through all steps.

    Attention reads every token of the context for each new one, so a step grows in proportion.
    """
    short = timed(sequences, 0)
    longer = {part // block * block for part in (longest // 3, longest)}
    contexts = [0, *sorted(longer - {0})]
    steps = [short.step, *(timed(sequences, context).step for context in contexts[1:])]
    slope = 0.0
    if len(contexts) > 1:
        slope = max(0.0, float(np.polyfit(contexts, steps, 1)[0]))
    return LatencyPoint(sequences, short.first_token, short.step, slope)


def concurrencies_within(device_type: str, sequences: int) -> tuple[int, ...]:
    """1, 4, 16 and so on: up to 256 on a GPU, and 16 on a CPU, which would take long for more.

    Args:
        device_type: ``cpu`` or ``cuda``.
        sequences: as many as memory allows in a batch.
    """
    most = min(sequences, _MOST_AT_ONCE.get(device_type, _MOST_AT_ONCE_ELSEWHERE))
    return tuple(4**power for power in range(5) if 4**power <= most)


def longest_context(
    device_type: str, positions: int, cache_bytes_per_token: int, free: int, sequences: int
) -> int:
    """The longest context to time.

    Args:
        device_type: ``cpu`` or ``cuda``.
        positions: what the model's position embedding allows, timed prompts and steps taken off.
        cache_bytes_per_token: of one sequence.
        free: free bytes on the device.
        sequences: sequences at once.
    """
    room = int(_SHARE * free) // (cache_bytes_per_token * sequences)
    return longest_within(device_type, positions, room)


def longest_within(device_type: str, positions: int, room: int) -> int:
    """The longest context to time where each sequence's cache has room for so many tokens.

    Args:
        device_type: ``cpu`` or ``cuda``.
        positions: what the model allows, timed prompts and steps taken off.
        room: tokens of one sequence.
    """
    return max(0, min(_LONGEST.get(device_type, _LONGEST_ELSEWHERE), positions, room))
