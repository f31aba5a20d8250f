from dataclasses import replace

import numpy as np
import pytest

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import CurveError, Curves, family, fit_curves
from mi_tui.plan.budget import About
from mi_tui.plan.recipe import Decoding, Recipe, interpolation
from mi_tui.plan.scope import Scope
from tests.analysis.synthetic import (
    GRID,
    World,
    dipping_tokens,
    step_score,
    step_thinking,
)

LAMBDAS: Floats = np.round(np.linspace(0, 1, 51), 2)


def fit(world: World) -> Curves:
    return fit_curves(world.observations(), LAMBDAS, draws=400)


def test_curves_follow_a_step_a_dip_and_a_fall() -> None:
    grid = (*GRID, 0.3, 0.45, 0.55, 0.7, 0.9)
    curves = fit(World(problems=150, seed=3).sweep(grid, samples=4))
    score = np.array([step_score(x) for x in LAMBDAS])
    tokens = np.array([dipping_tokens(x) for x in LAMBDAS])
    thinking = np.array([step_thinking(x) for x in LAMBDAS])
    assert np.abs(curves.score.mean(axis=0) - score).max() < 0.07
    assert np.abs(np.log(curves.tokens.mean(axis=0) / tokens)).max() < 0.2
    assert np.abs(curves.thinking.mean(axis=0) - thinking).max() < 0.15


def test_bands_cover_the_truth_at_about_the_stated_rate() -> None:
    hits = []
    for seed in range(25):
        curves = fit(World(problems=30, seed=seed).sweep(samples=1))
        for draws, truth in ((curves.score, step_score), (curves.tokens, dipping_tokens)):
            low, high = np.quantile(draws, [0.05, 0.95], axis=0)
            true = np.array([truth(x) for x in LAMBDAS])
            hits.append((low <= true) & (true <= high))
    assert 0.8 <= np.mean(hits) <= 0.98


def test_more_problems_narrow_the_bands_and_more_samples_of_few_hardly() -> None:
    def width(problems: int, samples: int) -> float:
        worlds = [World(problems=problems, seed=seed).sweep(samples=samples) for seed in range(5)]
        return float(np.mean([np.log(fit(w).tokens).std(axis=0)[::10].mean() for w in worlds]))

    few, many, again = width(10, 4), width(120, 4), width(10, 32)
    assert many < 0.5 * few
    assert again > 0.6 * few


def test_known_strata_take_their_part_out_of_the_uncertainty() -> None:
    def spread(strata: int) -> float:
        world = World(problems=48, strata=strata, seed=5)
        world.length = np.where(np.arange(48) % 2, 0.7, -0.7)
        return float(np.log(fit(world.sweep(samples=2)).tokens).std(axis=0)[::10].mean())

    assert spread(2) < 0.6 * spread(1)


def test_an_unbalanced_choice_of_problems_does_not_shift_the_curve() -> None:
    world = World(problems=60, strata=2, seed=2, score=lambda _: 0.6, tokens=lambda _: 100.0)
    world.difficulty = np.where(np.arange(60) % 2, 2.5, -2.5)
    for lambda_ in GRID:
        for problem in range(60):
            hard_here = lambda_ > 0.5 and problem % 2 and problem % 3
            if not hard_here:
                world.ask(interpolation(lambda_), problem, 0)
    score = fit(world).score.mean(axis=0)
    assert abs(score[-1] - score[0]) < 0.1


def test_lengths_beyond_the_cap_are_reckoned_with() -> None:
    long = World(problems=80, seed=1, tokens=lambda x: 1500.0 if x > 0.7 else 300.0)
    curves = fit(long.sweep(samples=3))
    observations = long.observations()
    at_end = observations.tokens[observations.recipe == len(GRID) - 1].mean()
    assert observations.truncated.any()
    assert curves.tokens[:, -1].mean() > 1.04 * at_end
    assert curves.tokens[:, -1].mean() == pytest.approx(1500, rel=0.25)


def test_all_right_or_all_wrong_leaves_doubt() -> None:
    curves = fit(World(problems=20, score=lambda x: 0.999 if x > 0.5 else 0.001).sweep())
    assert np.isfinite(curves.score).all()
    assert 0.6 < np.quantile(curves.score[:, -1], 0.05) < 0.995
    assert 0.005 < np.quantile(curves.score[:, 0], 0.95) < 0.4


def test_equal_data_give_equal_draws() -> None:
    first, second = (fit(World(seed=4).sweep(samples=1)) for _ in "ab")
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(first.tokens, second.tokens)


def test_the_order_of_the_rows_does_not_matter() -> None:
    observations = World(seed=4).sweep(samples=1).observations()
    shuffled = observations.where(np.random.default_rng(0).permutation(len(observations)))
    first, second = (fit_curves(rows, LAMBDAS, draws=50) for rows in (observations, shuffled))
    assert np.allclose(first.score, second.score)
    assert np.allclose(first.tokens, second.tokens)


def test_a_single_rollout_gives_wide_curves() -> None:
    world = World(problems=3)
    world.ask(interpolation(0.5), 0, 0)
    curves = fit(world)
    assert curves.score.std(axis=0).min() > 0.1


def test_the_family_differs_in_lambda_alone() -> None:
    others = (
        interpolation(0.8, Scope(layers=())).model_copy(
            update={"decoding": Decoding(temperature=1.0)}
        ),
        Recipe(method="task-arithmetic", scale=0.7),
    )
    recipes = (interpolation(0.9), *others, interpolation(0.1))
    assert family(recipes).tolist() == [3, 0]
    assert family(recipes, others[0]).tolist() == [1]


def test_nothing_to_draw_a_curve_through_is_said() -> None:
    world = World(problems=4, held_out=2)
    world.ask(interpolation(0.5), 3, 0)
    with pytest.raises(CurveError, match="no λ has rollouts"):
        fit(world)


def test_two_probes_are_weighted() -> None:
    easy = World(problems=60, score=lambda _: 0.9).sweep(samples=2).observations()
    hard = World(problems=60, seed=1, score=lambda _: 0.2).sweep(samples=2).observations()
    both = Observations(
        easy.recipes,
        tuple(p for p in easy.problems) + tuple(_other(p) for p in hard.problems),
        np.concatenate([easy.recipe, hard.recipe]),
        np.concatenate([easy.problem, hard.problem + 60]),
        *(
            np.concatenate([getattr(easy, name), getattr(hard, name)])
            for name in ("sample", "score", "tokens", "thinking", "truncated", "answer")
        ),
    )
    score = fit_curves(both, LAMBDAS, draws=200).score.mean()
    assert score == pytest.approx(0.25 * 0.9 + 0.75 * 0.2, abs=0.06)


def _other(problem: ProblemRow) -> ProblemRow:
    return replace(problem, probe="hard", weight=3 / 60)


def test_few_short_responses_do_not_pass_for_certain() -> None:
    """Half of the problems take long; at λ = 0.9 four of the others were asked alone."""
    world = World(problems=60, seed=4, tokens=lambda _: 300.0)
    world.length = np.where(np.arange(60) % 2, 1.0, -1.0)
    world.sweep((0.0, 0.3, 0.6), samples=1)
    for problem in (0, 2, 4, 6):
        world.ask(interpolation(0.9), problem, 0)
    lengths = np.log(fit(world).tokens[:, 45])
    spread = np.log([row[4] for row in world.rows[-4:]]).std()
    assert lengths.std() > 0.5 * spread
    assert lengths.std() > 0.1


def chances(world: World, lambda_: float) -> Floats:
    """How likely each problem of a world is solved, as :meth:`World.ask` draws it."""
    score = step_score(lambda_)
    return np.asarray(1 / (1 + np.exp(-1.2 * np.log(score / (1 - score)) - world.difficulty)))


@pytest.mark.slow
def test_about_these_problems_the_bands_cover_their_own_mean() -> None:
    """At a measured λ, and over problems of which a quarter is held out."""
    hits = {"score": 0, "tokens": 0, "held out": 0}
    trials, place = 60, int(np.flatnonzero(np.isclose(LAMBDAS, 0.6))[0])
    for seed in range(trials):
        for held_out in (0, 8):
            world = World(problems=32, held_out=held_out, seed=seed).sweep(samples=6)
            curves = fit_curves(world.observations(), LAMBDAS, draws=300, about="these-problems")
            truth = {"score": chances(world, 0.6).mean()}
            of_length = np.exp(world.length - 0.3**2 / 2)
            truth["tokens"] = dipping_tokens(0.6) * of_length.mean()
            for name, value in truth.items():
                low, high = np.quantile(getattr(curves, name)[:, place], [0.05, 0.95])
                key = name if not held_out else "held out"
                hits[key] += bool(low <= value <= high) * (not held_out or name == "score")
    assert all(0.78 * trials <= count <= 0.99 * trials for count in hits.values()), hits


def test_asked_often_enough_only_the_samples_noise_is_left() -> None:
    place = int(np.flatnonzero(np.isclose(LAMBDAS, 0.6))[0])
    data = {
        (samples, held_out): World(problems=24, held_out=held_out, seed=2)
        .sweep((0.0, 0.6, 1.0), samples)
        .observations()
        for samples, held_out in ((40, 0), (4, 0), (40, 8))
    }

    def width(about: About, samples: int, held_out: int = 0) -> float:
        curves = fit_curves(data[samples, held_out], LAMBDAS, draws=400, about=about)
        return float(np.ptp(np.quantile(curves.score[:, place], [0.05, 0.95])))

    here = width("these-problems", 40)
    each = chances(World(problems=24, seed=2), 0.6)
    noise = np.sqrt((each * (1 - each)).sum() / 40) / 24
    assert here == pytest.approx(2 * 1.645 * noise, rel=0.25)
    assert here < 0.4 * width("new-problems", 40)
    assert here < 0.5 * width("these-problems", 4)
    # What was held out is among them, and was not asked.
    assert here < width("these-problems", 40, held_out=8) < width("new-problems", 40, held_out=8)


def test_what_is_said_of_new_problems_is_what_it_was() -> None:
    data = World(problems=20, seed=3).sweep(samples=2).observations()
    one, other = fit_curves(data, LAMBDAS), fit_curves(data, LAMBDAS, about="new-problems")
    assert (one.score == other.score).all()
    assert (one.tokens == other.tokens).all()
