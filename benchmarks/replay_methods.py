"""The methods of the replay: our search, what it was, what could be, and four baselines."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from benchmarks.replay_limits import in_tokens, least_inside
from benchmarks.replay_surface import ReplayedProbe
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.results import Estimate
from mi_tui.analysis.search.policy import Spent, Stop, next_batch
from mi_tui.analysis.statistics import curve
from mi_tui.analysis.statistics.one_curve import fit_one_curve
from mi_tui.plan.budget import Budget
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, interpolation
from mi_tui.plan.search import Search
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe

ROLLOUTS = 16
"""Rollouts a baseline spends on one λ: the paper's grid in the quick version."""

TRIAL_ROLLOUTS, STARTUP_TRIALS = 8, 5
"""What Optuna's samplers spend on a trial, and how many trials they draw before they model."""

GRID = tuple(round(i / 8, 2) for i in range(9))
_recipe = cache(interpolation)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method recommends; baselines state no intervals."""

    lambda_: float
    score: Estimate | None = None
    tokens: Estimate | None = None
    lambda_interval: tuple[float, float] | None = None
    resolved: bool = False


Method = Callable[[ReplayedProbe, Budget, float], Outcome]


def ours(probe: ReplayedProbe, budget: Budget, tokens: float, batch: int = ROLLOUTS) -> Outcome:
    """The product's own policy and recommender; ``tokens`` may be infinite."""
    unlimited = math.isinf(tokens)
    batch = ROLLOUTS if not unlimited else probe.problems
    search = Search(
        max_tokens=None if unlimited else int(tokens),
        samples=1,
        tolerance=0.001,
        seed=probe.seed % 1000,
    )
    preset = Preset(
        title="replay",
        pair=Pair(instruct="simulated", thinking="simulated"),
        probes=(ArithmeticProbe(kind="arithmetic"),),
        budget=budget,
        search=search,
    )
    while True:
        seen = probe.observations()
        step = next_batch(seen, preset, spent=Spent(len(seen), probe.tokens_spent, 0.0), size=batch)
        if isinstance(step, Stop):
            break
        probe.answer(step.rollouts)
    found = recommend(seen, budget, seed=search.seed, level=0.9, tolerance=search.tolerance)
    return Outcome(
        found.lambda_,
        found.score,
        found.tokens,
        (found.lambda_low, found.lambda_high),
        found.resolved,
    )


def one_curve(probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    """Our policy with the model before: one curve for each measure, whatever the regime."""
    before, curve.MODEL = curve.MODEL, fit_one_curve
    try:
        return ours(probe, budget, tokens)
    finally:
        curve.MODEL = before


def oracle(probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    """What could be had at best of a limit of tokens: all curves known, the lengths up to a factor.

    All tokens are spent at the best λ, on as many problems as there are, to learn the factor.
    """
    surface, limit = probe.surface, budget.limit or 0.0
    allowed = surface.tokens <= limit
    best = int(np.where(allowed, surface.score, -np.inf).argmax())
    number = max(int(tokens / surface.tokens[best]), 2)
    recipe = _recipe(float(surface.lambdas[best]))
    lengths = [probe.ask(recipe, i % probe.problems, i // probe.problems)[1] for i in range(number)]
    mean = float(np.mean(lengths))
    error = float(np.std(lengths, ddof=1)) / mean / math.sqrt(number)
    caution = NormalDist().inv_cdf(budget.confidence) * error
    kept = surface.tokens * mean / surface.tokens[best] * math.exp(caution) <= limit
    if not kept.any():
        return Outcome(float(surface.lambdas[surface.tokens.argmin()]))
    return Outcome(float(surface.lambdas[np.where(kept, surface.score, -np.inf).argmax()]))


def even_grid(probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    """The paper's way: nine λ, the same problems for each, plain averages."""
    cost = probe.surface.tokens[[probe.surface.at(x) for x in GRID]].sum()
    each = max(int(tokens / cost), 1)
    return _best([_measure(probe, lambda_, each) for lambda_ in GRID], budget)


def random_search(probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    """λ drawn evenly from [0, 1], plain averages."""
    random = np.random.default_rng([probe.seed, 3])
    found: list[_Measured] = []
    while probe.tokens_spent < tokens or not found:
        found.append(_measure(probe, round(float(random.random()), 2), ROLLOUTS))
    return _best(found, budget)


def optuna_gp(probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    """Optuna's Gaussian process sampler with the budget as a constraint."""
    return _optuna("gp", probe, budget, tokens)


def optuna_tpe(probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    """Optuna's tree-structured Parzen estimator with the budget as a constraint."""
    return _optuna("tpe", probe, budget, tokens)


METHODS: dict[str, Method] = {
    "mi-tui": ours,
    "one curve": one_curve,
    "oracle": oracle,
    "even grid": even_grid,
    "random": random_search,
    "optuna GP": optuna_gp,
    "optuna TPE": optuna_tpe,
}


@dataclass(frozen=True, slots=True)
class _Measured:
    lambda_: float
    score: float
    tokens: float


def _measure(probe: ReplayedProbe, lambda_: float, rollouts: int) -> _Measured:
    """Plain averages of one λ over the first problems, a sample of each before a second."""
    recipe: Recipe = _recipe(lambda_)
    results = [probe.ask(recipe, i % probe.problems, i // probe.problems) for i in range(rollouts)]
    scores, lengths = zip(*results, strict=True)
    return _Measured(lambda_, sum(scores) / rollouts, sum(lengths) / rollouts)


def _violation(found: _Measured, budget: Budget, thinking: float) -> float:
    """How far measured averages break the budget; at most 0 when they keep it.

    ``thinking`` is the score measured at the largest λ.
    """
    return -float(least_inside(budget, found.score, found.tokens, thinking))


def _worth(found: _Measured, budget: Budget) -> float:
    return -found.tokens if in_tokens(budget) else found.score


def _best(found: list[_Measured], budget: Budget) -> Outcome:
    """The best by averages among those whose averages keep the budget, or the nearest to it."""
    thinking = _thinking(found)
    allowed = [point for point in found if _violation(point, budget, thinking) <= 0]
    if allowed:
        return Outcome(max(allowed, key=lambda point: _worth(point, budget)).lambda_)
    return Outcome(min(found, key=lambda point: _violation(point, budget, thinking)).lambda_)


def _thinking(found: list[_Measured]) -> float:
    return max(found, key=lambda point: point.lambda_).score


def _optuna(kind: str, probe: ReplayedProbe, budget: Budget, tokens: float) -> Outcome:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: list[_Measured] = []

    def constraint(trial: optuna.trial.FrozenTrial) -> tuple[float, ...]:
        return (_violation(found[trial.number], budget, _thinking(found)),)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler: optuna.samplers.BaseSampler
        if kind == "gp":
            sampler = optuna.samplers.GPSampler(
                seed=probe.seed,
                n_startup_trials=STARTUP_TRIALS,
                deterministic_objective=False,
                constraints_func=constraint,
            )
        else:
            sampler = optuna.samplers.TPESampler(
                seed=probe.seed, n_startup_trials=STARTUP_TRIALS, constraints_func=constraint
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        while probe.tokens_spent < tokens or not found:
            trial = study.ask()
            lambda_ = round(trial.suggest_float("lambda", 0.0, 1.0), 2)
            found.append(_measure(probe, lambda_, TRIAL_ROLLOUTS))
            study.tell(trial, _worth(found[-1], budget))
    return _best(found, budget)
