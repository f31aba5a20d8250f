"""A surface of the replay: measured curves, and rollouts simulated from them."""

import csv
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.search.policy import PlannedRollout
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe

if TYPE_CHECKING:
    from benchmarks.replay_rollouts import Rollouts

Floats = NDArray[np.float64]

METHODS = ("instruct", "interpolation", "thinking")
DIFFICULTY_SD, DIFFICULTY_SLOPE_SD = 1.2, 0.8
PROPENSITY_SD = 1.5
"""Of a problem's effect on whether a response thinks, on the logit scale."""
LENGTH_SD = 0.28
"""Of the log length within a problem, right and wrong responses apart."""
LENGTH_PROBLEM_SD, DIFFICULTY_LENGTH_CORRELATION = 0.66, 0.7
"""Of a problem's effect on the log length, and how far its difficulty makes that."""
WRONG = 0.3
"""How much longer, in the logarithm, a wrong response to a problem is than a right one."""
STEP, STEP_WIDTH = 0.1, 0.035
"""Half the width over which a step of the curves is measured; that of a made-up think ratio."""
CAP = 8.0
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class SurfaceError(MiTuiError):
    """A table that is no surface."""


@dataclass(frozen=True)
class Surface:
    """Curves over λ through the rows of a table: what a study of that pair would find.

    ``lambdas`` is a grid with a step of 0.01; ``score`` (0 to 1), ``tokens`` and ``thinking``
    (0 to 1) hold the population means there. ``cap`` is the token cap of the simulated probe.
    ``rollouts`` are the real ones that the means are of; a table has none.
    """

    name: str
    lambdas: Floats
    score: Floats
    tokens: Floats
    thinking: Floats
    cap: int
    rollouts: "Rollouts | None" = None

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
            thinking = float(row.get("think_percent") or "nan") / 100
            groups.setdefault(name, {})[float(row["lambda"])] = (*values, thinking)
    if not groups or any(len(points) < 3 for points in groups.values()):
        raise SurfaceError(f"{path} has no probe{f' {probe}' if probe else ''} with three λ")
    return [_surface(name, points) for name, points in groups.items()]


def _surface(name: str, points: dict[float, tuple[float, float, float]]) -> Surface:
    from scipy.interpolate import PchipInterpolator

    known = np.array(sorted(points))
    score, tokens, thinking = np.array([points[at] for at in known]).T
    lambdas = np.round(np.linspace(0, 1, 101), 2)
    lengths = np.exp(PchipInterpolator(known, np.log(tokens))(lambdas))
    if np.isnan(thinking).any():
        share = made_up_think_ratio(lambdas, lengths)
    else:
        share = np.asarray(PchipInterpolator(known, thinking)(lambdas))
    return Surface(
        name,
        lambdas,
        np.clip(PchipInterpolator(known, score)(lambdas), 0.001, 0.999),
        lengths,
        np.clip(share, 0.0, 1.0),
        int(CAP * lengths.max()),
    )


def made_up_think_ratio(lambdas: Floats, tokens: Floats) -> Floats:
    """A think ratio for a table that has none: a step where the lengths climb most steeply."""
    climb = np.gradient(np.log(tokens), lambdas)
    near = np.exp(-0.5 * ((lambdas[:, None] - lambdas) / 0.05) ** 2)
    centre = lambdas[(near @ climb / near.sum(axis=1)).argmax()]
    return np.asarray(1 / (1 + np.exp(-(lambdas - centre) / STEP_WIDTH)))


@dataclass(frozen=True)
class Regimes:
    """What a response is like without and with thinking, so that the mixture is the surface.

    ``level`` (2, 101) is the logit of a right answer to a problem of middling difficulty;
    ``length`` (2, 101) the log length of a right response to one; ``propensity`` (101,) the logit
    of thinking.
    """

    level: Floats
    length: Floats
    propensity: Floats

    @classmethod
    def of(cls, surface: Surface) -> "Regimes":
        """Split a surface's means by the step of its curves where the think ratio is one half."""
        share = surface.thinking
        centre = int(np.abs(share - 0.5).argmin())
        before, after = max(centre - 10, 0), min(centre + 10, 100)
        rise = math.log(surface.tokens[after] / surface.tokens[before])
        ratio = math.exp(float(np.clip(rise, 0.2, 2.0)))
        short = surface.tokens / (1 - share + share * ratio)
        gain = np.clip(_logit(surface.score[after]) - _logit(surface.score[before]), 0.0, 3.0)
        low, high = np.full(101, -12.0), np.full(101, 12.0)
        for _ in range(50):
            middle = (low + high) / 2
            found = (1 - share) * _expit(middle) + share * _expit(middle + gain)
            low = np.where(found < surface.score, middle, low)
            high = np.where(found < surface.score, high, middle)
        scores = np.stack([_expit(low), _expit(low + gain)])
        sd = _difficulty_sd(surface.lambdas)
        level = np.stack([_levels(means, sd) for means in scores])
        return cls(
            level,
            np.log(np.stack([short, short * ratio])) - np.log(_mean_factor(level, sd)),
            _levels(np.clip(share, 1e-4, 1 - 1e-4), np.full(101, PROPENSITY_SD)),
        )


def _mean_factor(level: Floats, sd: Floats) -> Floats:
    """The mean length of all responses relative to :attr:`Regimes.length`, shape (2, 101)."""
    slope = DIFFICULTY_LENGTH_CORRELATION * LENGTH_PROBLEM_SD
    right = _expit(level[..., None] + sd[:, None] * _NODES)
    factor = np.exp(-slope * _NODES) * (right + (1 - right) * math.exp(WRONG))
    own = (1 - DIFFICULTY_LENGTH_CORRELATION**2) * LENGTH_PROBLEM_SD**2 + LENGTH_SD**2
    return np.asarray(factor @ _WEIGHTS * math.exp(own / 2))


Response = tuple[float, int, bool, bool]
"""Score, tokens, whether it thinks, and whether the cap cut it."""


@dataclass
class ReplayedProbe(ABC):
    """A probe whose rollouts are drawn, and what has been asked of it."""

    surface: Surface
    seed: int
    problems: int
    held_out: float = 0.25
    tokens_spent: int = 0
    _log: list[tuple[Recipe, int, int, Response]] = field(default_factory=list)

    def __post_init__(self) -> None:
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

    @abstractmethod
    def _draw(self, lambda_: float, problem: int) -> Response:
        """One response to one of the problems."""

    def ask(self, recipe: Recipe, problem: int, sample: int) -> tuple[float, int]:
        """Draw one rollout and keep it; returns its score and its tokens."""
        response = self._draw(recipe.lambda_ or 0.0, problem)
        self.tokens_spent += response[1]
        self._log.append((recipe, problem, sample, response))
        return response[:2]

    def answer(self, asks: tuple[PlannedRollout, ...]) -> None:
        """Draw a batch."""
        for ask in asks:
            self.ask(ask.recipe, ask.problem, ask.sample)

    def observations(self) -> Observations:
        """Everything asked so far."""
        by_lambda = {row[0].lambda_: row[0] for row in self._log}
        place = {lambda_: index for index, lambda_ in enumerate(by_lambda)}
        scores, tokens, thinking, cut = zip(*(row[3] for row in self._log), strict=True) if (
            self._log
        ) else ((), (), (), ())  # fmt: skip
        return Observations(
            tuple(by_lambda.values()),
            self.rows,
            np.array([place[row[0].lambda_] for row in self._log], dtype=np.int64),
            np.array([row[1] for row in self._log], dtype=np.int64),
            np.array([row[2] for row in self._log], dtype=np.int64),
            np.array(scores, dtype=np.float64),
            np.array(tokens, dtype=np.int64),
            np.array(thinking, dtype=np.bool_),
            np.array(cut, dtype=np.bool_),
            np.full(len(self._log), -1, dtype=np.int64),
        )


class SimulatedProbe(ReplayedProbe):
    """Rollouts of one surface on problems drawn from a population in which its means hold.

    A response thinks or not; that, the problem's difficulty (normal on the logit scale, with a part
    that changes along λ) and whether it is right make its length. Lengths vary by about 0.3 within
    a problem and 0.7 between problems in the logarithm, and wrong responses are 2.2 times as long
    as right ones, as those of published reasoning models are.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        draw = np.random.default_rng([self.seed, 1]).standard_normal((4, self.problems))
        self._random = np.random.default_rng([self.seed, 2])
        self._base, self._slope = DIFFICULTY_SD * draw[0], DIFFICULTY_SLOPE_SD * draw[1]
        own = math.sqrt(1 - DIFFICULTY_LENGTH_CORRELATION**2)
        self._length = LENGTH_PROBLEM_SD * own * draw[2]
        self._propensity = PROPENSITY_SD * draw[3]
        self._regimes = Regimes.of(self.surface)
        self._sd = _difficulty_sd(self.surface.lambdas)

    def _draw(self, lambda_: float, problem: int) -> Response:
        at, regimes, random = self.surface.at(lambda_), self._regimes, self._random
        logit = regimes.propensity[at] + self._propensity[problem]
        thinking = bool(random.random() < _expit(logit))
        ease = self._base[problem] + self._slope[problem] * (lambda_ - 0.5)
        correct = bool(random.random() < _expit(regimes.level[int(thinking), at] + ease))
        slope = DIFFICULTY_LENGTH_CORRELATION * LENGTH_PROBLEM_SD / self._sd[at]
        length = regimes.length[int(thinking), at] - slope * ease + self._length[problem]
        length += (0.0 if correct else WRONG) + LENGTH_SD * random.standard_normal()
        tokens = max(round(math.exp(length)), 1)
        cut = tokens >= self.surface.cap
        return float(correct and not cut), min(tokens, self.surface.cap), thinking, cut


def _difficulty_sd(lambdas: Floats) -> Floats:
    return np.asarray(np.hypot(DIFFICULTY_SD, DIFFICULTY_SLOPE_SD * (lambdas - 0.5)))


def _levels(means: Floats, sd: Floats) -> Floats:
    """The logit at which a population of effects with these sds has these means, by bisection."""
    low, high = np.full(len(sd), -20.0), np.full(len(sd), 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        found = _expit(middle[:, None] + sd[:, None] * _NODES) @ _WEIGHTS
        low = np.where(found < means, middle, low)
        high = np.where(found < means, high, middle)
    return np.asarray((low + high) / 2)


def _expit(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
