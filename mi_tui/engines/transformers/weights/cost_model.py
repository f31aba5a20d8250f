"""The cost model: seconds of work in one pass and in place, from measured steps."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mi_tui.engines.transformers.decoding.timing import Speed

_SPREAD = 0.6
"""σ of the log-normal response lengths that are reckoned with (as measured on the 4B pair)."""

_QUANTILES = 24


def _relative_lengths() -> list[float]:
    """Response lengths of equal probability, ascending, with mean 1."""
    normal = NormalDist(sigma=_SPREAD)
    lengths = [math.exp(normal.inv_cdf((k + 0.5) / _QUANTILES)) for k in range(_QUANTILES)]
    mean = sum(lengths) / _QUANTILES
    return [length / mean for length in lengths]


_LENGTHS = _relative_lengths()
_AGE = sum(length**2 for length in _LENGTHS) / (2 * sum(_LENGTHS))
"""The mean tokens, relative to a response, of the sequences of a batch that is kept full."""


@dataclass(frozen=True, slots=True)
class Work:
    """Work left: sequences by recipe, and mean tokens of a prompt and of a response."""

    sequences: Mapping[int, int]
    prompt_tokens: float
    response_tokens: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Measured speed by number of sequences; between the measured numbers it is interpolated.

    ``attention`` is what each token of context adds to a step, in seconds per sequence.
    """

    points: Mapping[int, Speed]
    prompt_tokens: int
    attention: float = 0.0

    def step(self, sequences: float, context: float = 0.0) -> float:
        """Seconds of one step of this many sequences of so many tokens each."""
        return self._at(sequences, lambda speed: speed.step) + self.attention * sequences * context

    def read(self, sequences: float, prompt_tokens: float) -> float:
        """Seconds to read this many prompts in one pass."""
        return (
            self._at(sequences, lambda speed: speed.first_token)
            * prompt_tokens
            / self.prompt_tokens
        )

    def _at(self, sequences: float, value: Callable[[Speed], float]) -> float:
        known = sorted(self.points)
        times = [value(self.points[n]) for n in known]
        if sequences > known[-1]:
            return times[-1] * sequences / known[-1]
        return float(np.interp(sequences, known, times))


@dataclass(frozen=True, slots=True)
class CostModel:
    """Both strategies, measured here. ``switch`` is the time of one change of λ in place."""

    single: Curve
    mixed: Curve
    switch: float

    def one_pass(self, work: Work, capacity: int) -> float:
        """Seconds for the work with all recipes in one batch."""
        return batch_seconds(self.mixed, sum(work.sequences.values()), capacity, work)

    def in_place(self, work: Work, capacity: int) -> float:
        """Seconds for the work, recipe after recipe."""
        counts = work.sequences.values()
        return sum(self.switch + batch_seconds(self.single, n, capacity, work) for n in counts)

    def parking(
        self, recipes: int, sequences: int, context_tokens: float, response_tokens: float
    ) -> float:
        """Seconds won when the last sequences of each recipe finish together, in one pass.

        Args:
            recipes: how many recipes there are.
            sequences: how many sequences of each are left to the end.
            context_tokens: of each of those sequences, to be read once more.
            response_tokens: the mean of all; about as many are left to those that last.
        """
        together = recipes * sequences
        apart = recipes * self.single.step(sequences, context_tokens) * response_tokens
        read = self.mixed.read(together, context_tokens)
        return apart - self.mixed.step(together, context_tokens) * response_tokens - read


def batch_seconds(curve: Curve, sequences: int, capacity: int, work: Work) -> float:
    """Seconds to generate ``sequences`` responses, ``capacity`` at once.

    A full batch while sequences wait; then the batch thins out as the sequences reach their ends.
    """
    if not sequences:
        return 0.0
    together = min(sequences, capacity)
    read = curve.read(together, work.prompt_tokens) * sequences / together
    full_steps = (sequences - together) / together * work.response_tokens
    seconds = read + full_steps * curve.step(
        together, work.prompt_tokens + _AGE * work.response_tokens
    )
    before = 0.0
    for at, length in enumerate(_LENGTHS):
        alive = together * (1 - at / _QUANTILES)
        context = work.prompt_tokens + length * work.response_tokens
        seconds += (length - before) * work.response_tokens * curve.step(max(1.0, alive), context)
        before = length
    return seconds
