"""Rollouts drawn from known curves over λ, for tests of the statistics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.search.policy import PlannedRollout
from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, interpolation
from mi_tui.plan.search import Search
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe

CAP = 2000
GRID = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)


def step_score(lambda_: float) -> float:
    """A score that jumps in stage 2 and falls a little at the end."""
    rise = 0.55 / (1 + np.exp(-(lambda_ - 0.5) / 0.05))
    return float(0.3 + rise - 0.2 * max(lambda_ - 0.8, 0.0))


def dipping_tokens(lambda_: float) -> float:
    """Lengths that fall in stage 2 and grow in stage 3."""
    return float(100 - 60 * np.exp(-(((lambda_ - 0.5) / 0.15) ** 2)) + 120 * lambda_**2)


def step_thinking(lambda_: float) -> float:
    """The share of responses with thinking."""
    return float(1 / (1 + np.exp(-(lambda_ - 0.5) / 0.03)))


@dataclass
class World:
    """Problems of different difficulty, and what has been asked of them."""

    problems: int = 40
    held_out: int = 0
    seed: int = 0
    strata: int = 1
    score: Callable[[float], float] = step_score
    tokens: Callable[[float], float] = dipping_tokens
    thinking: Callable[[float], float] = step_thinking
    recipes: list[Recipe] = field(default_factory=list)
    rows: list[tuple[int, int, int, float, int, bool, bool, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.difficulty = self.random.normal(size=self.problems)
        self.length = 0.3 * self.random.normal(size=self.problems)

    def ask(self, recipe: Recipe, problem: int, sample: int) -> None:
        """Draw one rollout."""
        if recipe not in self.recipes:
            self.recipes.append(recipe)
        lambda_ = recipe.lambda_ or 0.0
        score = self.score(lambda_)
        # 1.2 undoes, nearly, what averaging over difficulties does to the mean.
        logit = 1.2 * np.log(score / (1 - score)) + self.difficulty[problem]
        correct = bool(self.random.random() < 1 / (1 + np.exp(-logit)))
        noise = 0.4 * self.random.normal() - (0.3**2 + 0.4**2) / 2
        wanted = int(self.tokens(lambda_) * np.exp(self.length[problem] + noise))
        tokens = min(max(wanted, 1), CAP)
        thinking = bool(self.random.random() < self.thinking(lambda_))
        answer = 0 if correct else int(self.random.integers(1, 5))
        place = self.recipes.index(recipe)
        cut = wanted >= CAP
        self.rows.append((place, problem, sample, float(correct), tokens, thinking, cut, answer))

    def answer(self, asks: Sequence[PlannedRollout]) -> None:
        """Draw the rollouts of a batch."""
        for ask in asks:
            self.ask(ask.recipe, ask.problem, ask.sample)

    def sweep(self, lambdas: Sequence[float] = GRID, samples: int = 2) -> "World":
        """PlannedRollout every problem of the search part at every λ."""
        for lambda_ in lambdas:
            for problem in range(self.problems - self.held_out):
                for sample in range(samples):
                    self.ask(interpolation(lambda_), problem, sample)
        return self

    def observations(self) -> Observations:
        """Everything asked so far."""

        def column(place: int, kind: str) -> NDArray[Any]:
            return np.array([row[place] for row in self.rows], dtype=kind)

        problems = tuple(
            ProblemRow(
                probe="test",
                id=str(i),
                stratum=str(i % self.strata),
                weight=1 / self.problems,
                cap=CAP,
                held_out=i >= self.problems - self.held_out,
            )
            for i in range(self.problems)
        )
        return Observations(
            recipes=tuple(self.recipes),
            problems=problems,
            recipe=column(0, "int64"),
            problem=column(1, "int64"),
            sample=column(2, "int64"),
            score=column(3, "float64"),
            tokens=column(4, "int64"),
            thinking=column(5, "bool"),
            truncated=column(6, "bool"),
            answer=column(7, "int64"),
        )


def preset(
    budget: str | Budget = "tokens<=120",
    search: Search | None = None,
    recipes: tuple[Recipe, ...] = (),
) -> Preset:
    """A preset around a search; its pair and probe are never opened."""
    return Preset(
        title="test",
        pair=Pair(instruct="a", thinking="b"),
        probes=(ArithmeticProbe(kind="arithmetic"),),
        budget=parse_budget(budget) if isinstance(budget, str) else budget,
        search=search or Search(),
        recipes=recipes,
    )
