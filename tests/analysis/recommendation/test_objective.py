"""Objectives: their derivatives, their examples, and declarations that are not complete."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.recommendation.objective import (
    CurveObjective,
    Goal,
    ObjectiveError,
    Question,
    objective_of,
)
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.objective import OBJECTIVES, Limit, Objective

DRAWS, POINTS, STEP = 4000, 5, 1e-6
PROPORTIONAL = Latency(0.01, 0.01)
"""Seconds in proportion to tokens, as the derivative takes them."""
BUDGETS = ["knee", "tokens<=100", "p95 tokens<=200", "seconds<=2", "score>=0.6", "score>=95%"]


def curves() -> Curves:
    """Draws that are all alike, so that derivatives at the mean are those of every draw."""
    lambdas = np.linspace(0, 1, POINTS)
    tokens = np.tile(60 + 80 * lambdas, (DRAWS, 1))
    score = np.tile(0.3 + 0.5 * lambdas, (DRAWS, 1))
    square, ones = np.eye(POINTS), np.ones(POINTS)
    return Curves(lambdas, score, tokens, 2 * tokens, 0 * score, square, square, ones, ones)


def with_draw(known: Curves, point: int, *, score: float = 0.0, log_tokens: float = 0.0) -> Curves:
    """The curves with their first draw moved at one λ."""
    moved = {name: getattr(known, name).copy() for name in ("score", "tokens", "tokens_p95")}
    moved["score"][0, point] += score
    for name in ("tokens", "tokens_p95"):
        moved[name][0, point] *= np.exp(log_tokens)
    return replace(known, **moved)


@pytest.mark.parametrize("spec", BUDGETS)
def test_the_derivatives_are_those_of_utility_and_margin(spec: str) -> None:
    budget, known, latency = parse_budget(spec), curves(), PROPORTIONAL
    objective = objective_of(budget)

    def values(of: Curves) -> tuple[Any, Any]:
        return (
            objective.goal(of).utility[0],
            objective.margin(Question(of, budget, latency)).values[0],
        )

    goal, margin = objective.goal(known), objective.margin(Question(known, budget, latency))
    utility_before, margin_before = values(known)
    for point in range(POINTS):
        utility, inside = values(with_draw(known, point, score=STEP))
        assert (inside - margin_before) / STEP == pytest.approx(margin.by_score[:, point], abs=1e-3)
        change = (utility - utility_before)[point] / STEP
        assert change == pytest.approx(goal.by_score[point], abs=1e-3)
        utility, inside = values(with_draw(known, point, log_tokens=STEP))
        change = (utility - utility_before)[point] / STEP
        assert change == pytest.approx(goal.by_log_tokens[point], abs=1e-2)
        change = (inside - margin_before)[point] / STEP
        assert change == pytest.approx(margin.by_log_tokens[point], abs=1e-3)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)
def test_an_example_is_read_by_its_own_objective(objective: Objective) -> None:
    assert parse_budget(objective.example).objective == objective.name


class Unfinished(CurveObjective):
    """A limit that nothing judges."""

    name = "unfinished"
    title = summary = words = ""
    limit = Limit("budget", "<=", unit="", default=1)

    def goal(self, curves: Curves) -> Goal:
        """The score."""
        return Goal(curves.score, np.ones(POINTS), np.zeros(POINTS))


def test_a_limit_that_nothing_judges_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="unfinished has a limit and needs a margin"):
        Unfinished().margin(Question(curves(), Budget()))


def test_an_objective_without_a_decision_is_refused() -> None:
    class Named(Objective):
        name = "named"
        title = summary = words = ""

    OBJECTIVES.register(Named())
    try:
        with pytest.raises(ObjectiveError, match="objective named cannot be decided"):
            objective_of(Budget(objective="named"))
    finally:
        OBJECTIVES.unregister("named")
