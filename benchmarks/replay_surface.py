"""A surface of the replay: measured curves, and rollouts simulated from them."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.search.policy import PlannedRollout
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe

Floats = NDArray[np.float64]

METHODS = ("instruct", "interpolation", "thinking")
DIFFICULTY_SD, DIFFICULTY_SLOPE_SD = 1.2, 0.8
LENGTH_SD, LENGTH_PROBLEM_SD = 0.6, 0.35
DIFFICULTY_LENGTH_CORRELATION = 0.5
CAP = 4.0


class SurfaceError(MiTuiError):
    """A table that is no surface."""


@dataclass(frozen=True)
class Surface:
    """Curves over λ through the rows of a table: what a study of that pair would find.

    ``lambdas`` is a grid with a step of 0.01; ``score`` (0 to 1), ``tokens`` and ``thinking``
    (0 to 1) hold the population means there. ``cap`` is the token cap of the simulated probe.
    """

    name: str
    lambdas: Floats
    score: Floats
    tokens: Floats
    thinking: Floats
    cap: int

    def at(self, lambda_: float) -> int:
        """The index of a λ of two decimals."""
        return round(lambda_ * 100)


def read_surfaces(path: Path, probe: str | None = None) -> list[Surface]:
    """The surfaces of a CSV file with columns probe, method, lambda, mean, tokens, think_percent.

    Score and tokens are interpolated by monotone cubics (Fritsch and Carlson), tokens in the
    logarithm, so that no curve overshoots its rows.

    Raises:
        SurfaceError: the file has no such columns, or a probe fewer than three λ.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("method") in METHODS]
    groups: dict[str, dict[float, tuple[float, float, float]]] = {}
    pairs = {row.get("pair", "") for row in rows}
    for row in rows:
        name = row["probe"] if len(pairs) == 1 else f"{row['pair']} {row['probe']}"
        if probe is None or row["probe"] == probe:
            values = (float(row["mean"]) / 100, float(row["tokens"]))
            thinking = float(row.get("think_percent") or math.nan) / 100
            groups.setdefault(name, {})[float(row["lambda"])] = (*values, thinking)
    if not groups or any(len(points) < 3 for points in groups.values()):
        raise SurfaceError(f"{path} has no probe{f' {probe}' if probe else ''} with three λ")
    return [_surface(name, points) for name, points in groups.items()]


def _surface(name: str, points: dict[float, tuple[float, float, float]]) -> Surface:
    from scipy.interpolate import PchipInterpolator

    known = np.array(sorted(points))
    score, tokens, thinking = np.array([points[at] for at in known]).T
    lambdas = np.round(np.linspace(0, 1, 101), 2)
    curves = [
        np.asarray(PchipInterpolator(known, values)(lambdas))
        for values in (score, np.log(tokens), np.nan_to_num(thinking, nan=0.5))
    ]
    lengths = np.exp(curves[1])
    return Surface(
        name,
        lambdas,
        np.clip(curves[0], 0.001, 0.999),
        lengths,
        np.clip(curves[2], 0.0, 1.0),
        int(CAP * lengths.max()),
    )


@dataclass
class SimulatedProbe:
    """Rollouts of one surface on problems drawn from a population in which its means hold.

    A problem's difficulty is normal on the logit scale, with a part that changes along λ;
    lengths are log-normal, longer for harder problems, and cut at the cap, where the response
    counts as wrong.
    """

    surface: Surface
    seed: int
    problems: int
    held_out: float = 0.25
    tokens_spent: int = 0
    _log: list[tuple[Recipe, int, int, float, int, bool, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = np.random.default_rng([self.seed, 1]).standard_normal((3, self.problems))
        self._random = np.random.default_rng([self.seed, 2])
        self._base = DIFFICULTY_SD * draw[0]
        self._slope = DIFFICULTY_SLOPE_SD * draw[1]
        mix = DIFFICULTY_LENGTH_CORRELATION
        self._length = LENGTH_PROBLEM_SD * (-mix * draw[0] + math.sqrt(1 - mix * mix) * draw[2])
        self._level = _levels(self.surface)
        every = round(1 / self.held_out) if self.held_out else 0
        self.rows = tuple(
            ProblemRow(
                probe=self.surface.name,
                id=str(index),
                stratum="",
                weight=1 / self.problems,
                cap=self.surface.cap,
                held_out=bool(every) and index % every == every - 1,
            )
            for index in range(self.problems)
        )

    def ask(self, recipe: Recipe, problem: int, sample: int) -> tuple[float, int]:
        """Simulate one rollout and keep it; returns its score and its tokens."""
        lambda_ = recipe.lambda_ or 0.0
        at = self.surface.at(lambda_)
        logit = self._level[at] + self._base[problem] + self._slope[problem] * (lambda_ - 0.5)
        length = (
            math.log(self.surface.tokens[at])
            - LENGTH_SD**2 / 2
            + self._length[problem]
            + math.sqrt(LENGTH_SD**2 - LENGTH_PROBLEM_SD**2) * self._random.standard_normal()
        )
        tokens = max(round(math.exp(length)), 1)
        cut = tokens >= self.surface.cap
        tokens = min(tokens, self.surface.cap)
        correct = self._random.random() < 1 / (1 + math.exp(-logit)) and not cut
        thinking = self._random.random() < self.surface.thinking[at]
        self.tokens_spent += tokens
        self._log.append((recipe, problem, sample, float(correct), tokens, bool(thinking), cut))
        return float(correct), tokens

    def answer(self, asks: tuple[PlannedRollout, ...]) -> None:
        """Simulate a batch."""
        for ask in asks:
            self.ask(ask.recipe, ask.problem, ask.sample)

    def observations(self) -> Observations:
        """Everything asked so far."""
        by_lambda = {row[0].lambda_: row[0] for row in self._log}
        place = {lambda_: index for index, lambda_ in enumerate(by_lambda)}
        return Observations(
            tuple(by_lambda.values()),
            self.rows,
            np.array([place[row[0].lambda_] for row in self._log], dtype=np.int64),
            np.array([row[1] for row in self._log], dtype=np.int64),
            np.array([row[2] for row in self._log], dtype=np.int64),
            np.array([row[3] for row in self._log], dtype=np.float64),
            np.array([row[4] for row in self._log], dtype=np.int64),
            np.array([row[5] for row in self._log], dtype=np.bool_),
            np.array([row[6] for row in self._log], dtype=np.bool_),
            np.full(len(self._log), -1, dtype=np.int64),
        )


def _levels(surface: Surface) -> Floats:
    """The logit at which a population of difficulties has the surface's mean, by bisection."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    weights = weights / weights.sum()
    sd = np.sqrt(DIFFICULTY_SD**2 + (DIFFICULTY_SLOPE_SD * (surface.lambdas - 0.5)) ** 2)
    low, high = np.full(len(sd), -20.0), np.full(len(sd), 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        means = 1 / (1 + np.exp(-(middle[:, None] + sd[:, None] * nodes))) @ weights
        low = np.where(means < surface.score, middle, low)
        high = np.where(means < surface.score, high, middle)
    return np.asarray((low + high) / 2)
