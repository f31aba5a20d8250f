"""Curves by regime: the mixture against the truth, one regime alone, and lengths of any shape."""

import numpy as np
import pytest

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves, fit_curves
from mi_tui.analysis.statistics.regimes import _mean_of_exponentials
from mi_tui.plan.recipe import interpolation

GRID: Floats = np.round(np.linspace(0, 1, 51), 2)
ASKED = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
CLIFF, WIDTH = 0.6, 0.04


def think_ratio(lambdas: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(lambdas - CLIFF) / WIDTH)))


def true_tokens(lambdas: Floats) -> Floats:
    """Mean lengths of 200 and 600 tokens, log-normal with 0.3 within and 0.6 between problems."""
    ratio = think_ratio(lambdas)
    return (1 - ratio) * 200 + ratio * 600


def true_score(lambdas: Floats) -> Floats:
    ratio = think_ratio(lambdas)
    return (1 - ratio) * 0.4 + ratio * 0.7


def rollouts(seed: int, problems: int = 60, lambdas: tuple[float, ...] = ASKED) -> Observations:
    """One response of each problem at each λ."""
    random = np.random.default_rng(seed)
    effect = 0.6 * random.standard_normal(problems)
    recipe, problem = (part.ravel() for part in np.indices((len(lambdas), problems)))
    thinking = random.random(len(recipe)) < think_ratio(np.array(lambdas))[recipe]
    spread = (0.6**2 + 0.3**2) / 2
    logs = np.log(np.where(thinking, 600, 200)) - spread + effect[problem]
    tokens = np.exp(logs + 0.3 * random.standard_normal(len(recipe))).round().astype(np.int64)
    score = (random.random(len(recipe)) < np.where(thinking, 0.7, 0.4)).astype(np.float64)
    return Observations(
        tuple(interpolation(lambda_) for lambda_ in lambdas),
        tuple(
            ProblemRow(
                probe="p", id=str(i), stratum="", weight=1 / problems, cap=10_000, held_out=False
            )
            for i in range(problems)
        ),
        recipe.astype(np.int64),
        problem.astype(np.int64),
        np.zeros(len(recipe), dtype=np.int64),
        score,
        tokens,
        thinking,
        np.zeros(len(recipe), dtype=np.bool_),
        np.full(len(recipe), -1, dtype=np.int64),
    )


def share_inside(fits: list[Curves], name: str, truth: Floats, some: slice = slice(None)) -> float:
    """How often the central 90 % of the draws hold the truth, over some λ and all fits."""
    inside = []
    for fit in fits:
        low, high = np.quantile(getattr(fit, name), [0.05, 0.95], axis=0)
        inside.append(((low <= truth) & (truth <= high))[some])
    return float(np.mean(inside))


def test_the_mixture_holds_the_truth_across_a_cliff() -> None:
    fits = [fit_curves(rollouts(seed), GRID, draws=400) for seed in range(30)]
    assert share_inside(fits, "tokens", true_tokens(GRID)) > 0.8
    assert share_inside(fits, "score", true_score(GRID)) > 0.85
    assert share_inside(fits, "thinking", think_ratio(GRID), slice(22, 39)) > 0.8
    error = [np.log(fit.tokens.mean(axis=0) / true_tokens(GRID)) for fit in fits]
    assert abs(float(np.mean(error))) < 0.05


def test_many_rollouts_leave_little_open() -> None:
    fit = fit_curves(rollouts(1, problems=3000), GRID, draws=400)
    near = np.isin(GRID, ASKED)
    error = np.log(fit.tokens.mean(axis=0) / true_tokens(GRID))[near]
    assert np.abs(error).max() < 0.06
    assert np.abs(fit.score.mean(axis=0) - true_score(GRID))[near].max() < 0.03


@pytest.mark.parametrize("thinks", [False, True])
def test_where_all_responses_are_alike_the_think_ratio_is_known(thinks: bool) -> None:
    found = rollouts(2)
    found.thinking[:] = thinks
    fit = fit_curves(found, GRID, draws=200)
    assert (fit.thinking == float(thinks)).all()
    assert np.isfinite(fit.tokens).all()
    assert np.isfinite(fit.log_tokens_covariance).all()


def test_the_covariances_are_those_of_the_draws() -> None:
    fit = fit_curves(rollouts(3, problems=400), GRID, draws=4000)
    for draws, said in (
        (fit.score, np.diagonal(fit.score_covariance)),
        (np.log(fit.tokens), np.diagonal(fit.log_tokens_covariance)),
    ):
        ratio = np.sqrt(said) / draws.std(axis=0)
        assert np.median(ratio) == pytest.approx(1.0, abs=0.15)


def test_lengths_that_are_not_log_normal_are_averaged_as_they_are_once_there_are_many() -> None:
    random = np.random.default_rng(0)
    residuals = np.where(random.random(100_000) < 0.9, -0.2, 1.8)
    rise, error = _mean_of_exponentials(residuals, float(residuals.var()))
    assert rise == pytest.approx(float(np.log(np.exp(residuals).mean())), abs=0.01)
    few, unsure = _mean_of_exponentials(residuals[:20], float(residuals.var()))
    assert few == pytest.approx(float(residuals.var()) / 2, abs=0.02)
    assert unsure > error
