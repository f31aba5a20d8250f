"""Curves through very many λ: as quick as through a hundred, and no other curves."""

import time
from dataclasses import replace

import numpy as np
import pytest

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.search.limits import Spent
from mi_tui.analysis.search.policy import next_batch
from mi_tui.analysis.statistics import curve, marginal
from mi_tui.analysis.statistics.curve import fit_curves
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.search import Search
from tests.analysis.synthetic import dipping_tokens, preset, step_score, step_thinking

GRID = np.round(np.linspace(0.0, 1.0, 21), 3)
_SECONDS = 3.0
"""Of processor time: some times what it takes, and a hundredth of what it took without groups."""


def observations(lambdas: int, problems: int = 16) -> Observations:
    """One rollout of every problem at every λ of an even grid."""
    random = np.random.default_rng(1)
    values = np.round(np.linspace(0.0, 1.0, lambdas), 6)
    recipe = np.repeat(np.arange(lambdas), problems)
    at = values[recipe]
    chance = np.array([step_score(value) for value in values])[recipe]
    tokens = np.array([dipping_tokens(value) for value in values])[recipe]
    thinking = np.array([step_thinking(value) for value in values])[recipe]
    count = len(at)
    return Observations(
        recipes=tuple(interpolation(float(value)) for value in values),
        problems=tuple(
            ProblemRow("test", str(i), "", 1 / problems, 2000, False) for i in range(problems)
        ),
        recipe=recipe,
        problem=np.tile(np.arange(problems), lambdas),
        sample=np.zeros(count, np.int64),
        score=(random.random(count) < chance).astype(np.float64),
        tokens=np.maximum(1, tokens * np.exp(0.4 * random.normal(size=count))).astype(np.int64),
        thinking=random.random(count) < thinking,
        truncated=np.zeros(count, np.bool_),
        answer=np.full(count, -1),
    )


def test_a_recommendation_among_1001_lambdas_does_not_stand_still() -> None:
    found = observations(1001)
    started = time.process_time()
    answer = recommend(found, parse_budget("tokens<=120"))
    assert time.process_time() - started < _SECONDS
    few = recommend(observations(101, problems=160), parse_budget("tokens<=120"))
    assert answer.lambda_ == pytest.approx(few.lambda_, abs=0.1)


def test_planning_among_1001_lambdas_does_not_stand_still() -> None:
    found = observations(1001)
    grid = tuple(float(value) for value in np.round(np.linspace(0.0, 1.0, 1001), 6))
    started = time.process_time()
    next_batch(found, preset(search=Search(grid=grid, samples=1)), spent=Spent())
    assert time.process_time() - started < _SECONDS


def test_the_curve_of_groups_is_that_of_every_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    found = observations(136)
    grouped = fit_curves(found, GRID)
    monkeypatch.setattr(curve, "_MOST_LAMBDAS", 1000)
    every = fit_curves(found, GRID)
    assert np.abs(grouped.score.mean(axis=0) - every.score.mean(axis=0)).max() < 0.02
    assert np.allclose(grouped.tokens.mean(axis=0), every.tokens.mean(axis=0), rtol=0.03)


def test_up_to_128_lambdas_nothing_is_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = observations(128)
    left = fit_curves(found, GRID)
    monkeypatch.setattr(curve, "_pooled", lambda seen, mine: (seen, _lambdas(seen)))
    assert np.array_equal(left.score, fit_curves(found, GRID).score)


def test_problems_asked_unevenly_give_nearly_the_same_curves_by_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is taken for many recipes differs from the exact solution by less than it can tell."""
    even = observations(41, problems=12)
    kept = np.random.default_rng(0).random(len(even)) < 0.7
    columns = ("recipe", "problem", "sample", "score", "tokens", "thinking", "truncated", "answer")
    found = replace(even, **{name: getattr(even, name)[kept] for name in columns})
    monkeypatch.setattr(marginal, "_MUCH_WORK", np.inf)
    exact = fit_curves(found, GRID)
    monkeypatch.setattr(marginal, "_MUCH_WORK", 0.0)
    by_parts = fit_curves(found, GRID)
    assert not np.array_equal(exact.score, by_parts.score)
    for name in ("score", "tokens", "thinking"):
        one, other = getattr(exact, name), getattr(by_parts, name)
        assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) < 0.1 * one.std(axis=0))
        assert np.allclose(one.std(axis=0), other.std(axis=0), rtol=0.1)


def _lambdas(seen: Observations) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([recipe.lambda_ or 0.0 for recipe in seen.recipes])
