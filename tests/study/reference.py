"""The demo pair's reference sweep, read and smoothed for comparisons."""

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.paths import demo_pair_folder

Floats = NDArray[np.float64]
_WINDOW = 5


@dataclass(frozen=True, slots=True)
class Reference:
    """Means over 400 problems at 101 λ, with standard errors; scores and shares from 0 to 1."""

    lambdas: Floats
    score: Floats
    score_error: Floats
    tokens: Floats
    tokens_error: Floats
    thinking: Floats

    def at(self, lambda_: float) -> int:
        """The index of a λ of two decimals."""
        return round(100 * lambda_)

    def smooth(self, values: Floats) -> Floats:
        """A quadratic through the eleven nearest rows, at every λ: means without their jitter."""
        found = []
        for at, lambda_ in enumerate(self.lambdas):
            near = slice(max(0, at - _WINDOW), at + _WINDOW + 1)
            fit = np.polyfit(self.lambdas[near] - lambda_, values[near], 2)
            found.append(fit[-1])
        return np.array(found)

    def best_within_tokens(self, limit: float) -> float:
        """The λ with the highest score among those whose mean length keeps the limit."""
        allowed = self.smooth(self.tokens) <= limit
        return float(self.lambdas[np.where(allowed, self.smooth(self.score), -1.0).argmax()])

    def loss(self, lambda_: float, limit: float) -> float:
        """What a λ scores less than the best within the limit."""
        score = self.smooth(self.score)
        return float(score[self.at(self.best_within_tokens(limit))] - score[self.at(lambda_)])


def read_reference() -> Reference:
    """The stored sweep."""
    with (demo_pair_folder() / "reference_sweep.csv").open(encoding="utf-8") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))

    def column(name: str, scale: float = 1.0) -> Floats:
        return np.array([float(row[name]) / scale for row in rows])

    return Reference(
        column("lambda"),
        column("mean", 100),
        column("mean_se", 100),
        column("tokens"),
        column("tokens_se"),
        column("think_percent", 100),
    )
