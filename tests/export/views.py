"""A study picture by hand, for exports whose subject is not the study."""

from pathlib import Path

from mi_tui.analysis.results import Curve, Estimate, RecipeSummary, Recommendation
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.library import find_preset
from mi_tui.plan.recipe import interpolation
from mi_tui.study.view import Progress, StudyState, StudyView


def estimate(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def a_row(lambda_: float) -> RecipeSummary:
    return RecipeSummary(
        recipe=interpolation(lambda_),
        rollouts=100,
        problems=50,
        samples=2,
        score=estimate(0.2 + 0.6 * lambda_),
        pass_at_k=estimate(0.3 + 0.6 * lambda_),
        vote_at_k=estimate(0.25 + 0.6 * lambda_),
        vote_ties=estimate(0.125),
        vote_no_answer=estimate(0.0625),
        think_ratio=estimate(lambda_),
        tokens=estimate(10 + 100 * lambda_, 5),
        tokens_p50=50,
        tokens_p50_interval=estimate(50, 4),
        tokens_p95=120,
        tokens_p95_interval=estimate(120, 20),
        truncated=0.01,
        truncated_interval=estimate(0.01, 0.01),
        stage=2,
    )


def an_answer(lambda_: float = 0.5, sentence: str = "λ = 0.50 it is.") -> Recommendation:
    lambdas = (0.0, 0.5, 1.0)
    return Recommendation(
        budget=parse_budget("tokens<=80"),
        recipe=interpolation(lambda_),
        lambda_=lambda_,
        lambda_low=0.4,
        lambda_high=0.6,
        score=estimate(0.5),
        tokens=estimate(60, 5),
        think_ratio=estimate(0.5),
        probability=0.95,
        expected_loss=0.004,
        feasible=True,
        resolved=True,
        stage=2,
        tokens_saved=estimate(0.4),
        score_given_up=estimate(0.1),
        curve=Curve(
            lambdas=lambdas,
            score=tuple(estimate(0.2 + 0.6 * x) for x in lambdas),
            tokens=tuple(estimate(10 + 100 * x, 5) for x in lambdas),
            think_ratio=tuple(estimate(x) for x in lambdas),
        ),
        sentence=sentence,
    )


def a_view(title: str = "Demo") -> StudyView:
    _, preset = find_preset("demo")
    return StudyView(
        path=Path("/studies/demo"),
        name="demo",
        preset=preset.model_copy(update={"title": title}),
        state=StudyState.DONE,
        message="",
        progress=Progress("", 300, 300, 9000, 0.0, 10.0, None, 0),
        rows=tuple(a_row(x) for x in (0.0, 0.5, 1.0)),
        recommendation=an_answer(),
        engine_note="λ in place",
        change=1,
    )
