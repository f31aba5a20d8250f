"""The verdict: the decision as it stands, and whether more rollouts would change it."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.decision import Decision, alone_in, decide
from mi_tui.analysis.recommendation.design import Design, design_of
from mi_tui.analysis.recommendation.knowledge_gradient import value_of_doubling
from mi_tui.analysis.recommendation.objective import objective_of
from mi_tui.analysis.recommendation.remarks import on_the_floor
from mi_tui.analysis.statistics.cells import Floats, aggregate, searched
from mi_tui.analysis.statistics.curve import Curves, fit_curves
from mi_tui.plan.budget import About, Budget
from mi_tui.plan.recipe import Recipe

LAMBDAS: Floats = np.round(np.linspace(0.0, 1.0, 101), 2)
COARSE_LAMBDAS: Floats = LAMBDAS[::2]
_DRAWS = 1000
_COARSE_DRAWS = 600
_WORTHLESS = 0.5
_ALL_PROBLEMS = 0.9
_HOPELESS = 0.1
"""How probable it may be, in parts of what the confidence leaves open, that some λ keeps the limit
when the search gives up: it asks after every batch, and one unlucky batch must not end it."""


class Certainty(StrEnum):
    """What is known of a decision.

    ``WITHIN_TOLERANCE``: the expected loss is. ``NO_MORE_TO_LEARN``: the expected loss is above
    the tolerance, but nearly all problems were asked and more rollouts on them would hardly lower
    it; more problems would. ``INFEASIBLE``: it is certain enough that no λ keeps the limit.
    ``FLOOR``: it is certain that hardly any problem is solved at any λ, so that no λ can be chosen.
    ``OPEN``: more rollouts would help.
    """

    WITHIN_TOLERANCE = "within the tolerance"
    NO_MORE_TO_LEARN = "no more to learn"
    INFEASIBLE = "infeasible"
    FLOOR = "floor"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Curves, the decision they lead to, how certain it is, and on how many rollouts."""

    curves: Curves
    decision: Decision
    certainty: Certainty
    rollouts: int

    @property
    def settled(self) -> bool:
        """Whether more rollouts would hardly change the answer."""
        return self.certainty is not Certainty.OPEN


def judge(
    observations: Observations,
    budget: Budget,
    *,
    tolerance: float,
    latency: Latency | None = None,
    seed: int = 0,
    like: Recipe | None = None,
    fine: bool = True,
    curves: Curves | None = None,
) -> Verdict:
    """Fit the curves, decide, and weigh what more rollouts would be worth.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        budget: the question.
        tolerance: the expected loss that is small enough.
        latency: the speed of the merged model, for a budget in seconds.
        seed: of the draws.
        like: a recipe of the family to choose from; by default the largest family.
        fine: λ in steps of 0.01; otherwise 0.02, several times quicker.
        curves: what :func:`curves_of` gave for the same rollouts, to be spared the fit.

    Raises:
        CurveError: no λ has rollouts on search problems.
        DecisionError: the budget is in seconds and no speed is known.
    """
    if curves is None:
        curves = curves_of(observations, seed=seed, like=like, fine=fine, about=budget.about)
    decision = decide(curves, budget, latency=latency, seed=seed, tolerance=tolerance)
    design = _design(observations, like, budget)
    certainty = _certainty(curves, decision, budget, tolerance, design)
    return Verdict(curves, decision, certainty, int(design.rollouts.sum()))


def curves_of(
    observations: Observations,
    *,
    seed: int = 0,
    like: Recipe | None = None,
    fine: bool = True,
    about: About = "new-problems",
) -> Curves:
    """The curves that every budget about the same is put to; arguments as for :func:`judge`.

    Raises:
        CurveError: no λ has rollouts on search problems.
    """
    lambdas, draws = (LAMBDAS, _DRAWS) if fine else (COARSE_LAMBDAS, _COARSE_DRAWS)
    return fit_curves(observations, lambdas, draws=draws, seed=seed, like=like, about=about)


def answerable(budget: Budget, latency: Latency | None) -> Budget:
    """The budget without the limits that cannot be judged for want of a speed.

    Where that is its own, the knee.
    """
    if latency is not None:
        return budget
    judged = tuple(
        limit for limit in budget.also if not objective_of(alone_in(budget, limit)).needs_speed
    )
    if objective_of(budget).needs_speed:
        return Budget(confidence=budget.confidence, about=budget.about, also=judged)
    return budget if judged == budget.also else budget.model_copy(update={"also": judged})


def _certainty(
    curves: Curves, decision: Decision, budget: Budget, tolerance: float, design: Design
) -> Certainty:
    if on_the_floor(curves):
        return Certainty.FLOOR
    if decision.any_feasible <= _HOPELESS * (1 - budget.confidence):
        return Certainty.INFEASIBLE
    if not decision.feasible:
        return Certainty.OPEN
    if decision.expected_loss_of_promising <= tolerance:
        return Certainty.WITHIN_TOLERANCE
    if design.distinct < _ALL_PROBLEMS * design.available:
        return Certainty.OPEN
    gain = value_of_doubling(curves, budget, decision, design)
    return Certainty.NO_MORE_TO_LEARN if gain < _WORTHLESS * tolerance else Certainty.OPEN


def _design(observations: Observations, like: Recipe | None, budget: Budget) -> Design:
    counts = aggregate(observations).count[:, searched(observations.problems)]
    return design_of(observations.recipes, counts, like, fixed=budget.about == "these-problems")
