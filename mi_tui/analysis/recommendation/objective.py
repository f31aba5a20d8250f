"""The base class of objectives, with the way from the curves to a goal and a margin."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mi_tui.errors import MiTuiError
from mi_tui.plan.objective import OBJECTIVES, Objective
from mi_tui.text.percent import percent

# The Budget step lists the objectives: NumPy comes with the first decision alone.
if TYPE_CHECKING:
    from mi_tui.analysis.latency import Latency
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.cells import Booleans, Floats
    from mi_tui.analysis.statistics.curve import Curves
    from mi_tui.plan.budget import Budget


class ObjectiveError(MiTuiError):
    """An objective that cannot be decided."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be highest.

    ``utility`` has shape (draws, points). ``by_score`` and ``by_log_tokens``, shape (points,),
    are its derivatives at the mean curves, by the score and by the logarithm of the tokens of
    the same λ: the search weighs rollouts by them. ``logarithmic`` says that the utility is a
    logarithm, so that what is lost by a choice is a share.
    """

    utility: "Floats"
    by_score: "Floats"
    by_log_tokens: "Floats"
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Margin:
    """How far inside the limit each λ lies, on a scale where 0 is the limit.

    ``values`` has shape (draws, points). ``by_score``, shape (points, points), and
    ``by_log_tokens``, shape (points,), are the derivatives at the mean curves: row i of
    ``by_score`` is that of the margin of λ i by the scores of all λ. ``unit`` is about what the
    limit itself is on that scale: limits of different scales are compared by it.
    """

    values: "Floats"
    by_score: "Floats"
    by_log_tokens: "Floats"
    unit: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    """A budget of one limit at most put to draws of the curves, with what else is known.

    ``latency`` is the speed of the merged model, ``None`` where it is not known; ``seed`` is
    that of further draws. ``kept`` (draws, points) says where other limits are kept that hold
    together with this one; ``None`` where there are none.
    """

    curves: "Curves"
    budget: "Budget"
    latency: "Latency | None" = None
    seed: int = 0
    kept: "Booleans | None" = None

    @property
    def limit(self) -> float:
        """The budget's limit, for objectives that have one."""
        return self.budget.limit or 0.0

    @property
    def tokens(self) -> "Floats":
        """Draws of the tokens per response, in the budget's statistic, shape (draws, points)."""
        return self.curves.tokens if self.budget.statistic == "mean" else self.curves.tokens_p95


class CurveObjective(Objective, ABC):
    """An objective that is decided on draws of the curves of score and tokens over λ.

    A subclass gives :meth:`goal` and, with a limit, :meth:`margin`; the rest has defaults.

    Attributes:
        aim: whether more score is wanted or fewer tokens: what layer groups try to better.
        trades: whether score is weighed against tokens: where no difference in score is to be
            seen, the shortest λ is then the answer.
        needs_speed: whether a decision needs the speed of the merged model.
    """

    aim: Literal["score", "tokens"] = "score"
    trades: bool = False
    needs_speed: bool = False

    @abstractmethod
    def goal(self, curves: "Curves") -> Goal:
        """What the budget wants to be highest."""

    def margin(self, question: Question) -> Margin:
        """How far inside the budget's limit each λ lies; without a limit, inside everywhere.

        Raises:
            DecisionError: the limit cannot be judged with what is known.
        """
        import numpy as np

        if self.limit is not None:
            raise NotImplementedError(f"{self.name} has a limit and needs a margin")
        score = question.curves.score
        points = score.shape[1]
        return Margin(np.ones_like(score), np.zeros((points, points)), np.zeros(points))

    def measure(self, question: Question) -> "Floats | None":
        """What the limit is on, in its unit, shape (draws, points); ``None``: it is not shown."""
        del question
        return None

    def nearest_limit(self, question: Question) -> float | None:
        """The nearest limit that some λ keeps with the budget's confidence.

        Asked for where none keeps the budget's own. Rounded so that it can be kept; ``None``
        where none is to be named. :func:`mi_tui.analysis.recommendation.decision.surely_reached`
        takes the question's ``kept`` into account.
        """
        del question
        return None

    def useful_limits(self, answer: "Recommendation") -> tuple[float, ...]:
        """The limits worth asking for between what an answer's curves reach at least and at most.

        Rising; empty where there are none to choose from. The answer has a curve.
        """
        del answer
        return ()

    def loss_in_words(self, loss: float) -> str:
        """The expected loss of a choice: by default of score, or of tokens as a share."""
        return (
            f"{percent(loss)} of its tokens" if self.aim == "tokens" else f"{100 * loss:.1f} points"
        )

    def claim(self, found: "Recommendation") -> str:
        """The first part of the answer's sentence: the λ, and the question that it answers."""
        question, lambda_ = found.budget.in_words, f"λ = {found.lambda_:.2f}"
        if found.feasible:
            return f"{lambda_} answers “{question}”"
        kind = "no λ" if found.resolved else "no λ yet"
        text = f"{kind} is sure to keep “{question}”"
        if found.nearest_budget is not None:
            text += f", the nearest that can be kept is “{found.nearest_budget.in_words}”"
        return f"{text}; {lambda_} comes nearest"


def objective_of(budget: "Budget") -> CurveObjective:
    """The objective of a budget.

    Raises:
        ObjectiveError: an installed objective does not say how it is decided.
    """
    found = OBJECTIVES[budget.objective]
    if not isinstance(found, CurveObjective):
        raise ObjectiveError(
            f"objective {found.name} cannot be decided: its class must extend CurveObjective"
        )
    return found
