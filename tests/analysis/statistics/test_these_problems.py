"""Intervals of means over given problems cover those means, with SciPy as the judge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mi_tui.analysis.statistics import intervals
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.metrics import paired_difference, summarise
from mi_tui.analysis.statistics.these_problems import (
    Sampled,
    difference_interval,
    length_interval,
    not_asked,
    ratio_interval,
    share_interval,
)
from tests.analysis.synthetic import World

TRIALS = 1500


def even(problems: int) -> Floats:
    return np.full(problems, 1 / problems)


def shares(chances: Floats, samples: int, random: np.random.Generator) -> Sampled:
    right = random.binomial(samples, chances).astype(np.float64)
    return Sampled.of(np.full(len(chances), float(samples)), right, right, share=True)


def lengths(means: Floats, samples: int, random: np.random.Generator) -> Sampled:
    drawn = means[:, None] * random.lognormal(-0.045, 0.3, (len(means), samples))
    count = np.full(len(means), float(samples))
    return Sampled.of(count, drawn.sum(axis=1), (drawn**2).sum(axis=1), share=False)


def covers(rate: int, trials: int = TRIALS) -> bool:
    """Whether so many of the trials are what a coverage of 94 to 98 % makes likely."""
    return bool(
        stats.binomtest(rate, trials, 0.94, alternative="less").pvalue > 1e-4
        and stats.binomtest(rate, trials, 0.98, alternative="greater").pvalue > 1e-4
    )


@pytest.mark.parametrize(
    ("problems", "of", "samples", "spread"),
    [(30, 30, 1, 2.0), (30, 30, 4, 2.0), (30, 30, 16, 3.0), (8, 8, 16, 1.0), (22, 30, 8, 2.0)],
)
def test_shares_and_their_differences_are_covered(
    problems: int, of: int, samples: int, spread: float
) -> None:
    random = np.random.default_rng(1)
    hits = differences = 0
    left_out = np.full(problems, 1 - problems / of)
    for _ in range(TRIALS):
        logits = 1.0 + spread * random.normal(size=of)
        chances = [1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(0.8 - logits))]
        first, second = (shares(each[:problems], samples, random) for each in chances)
        found = share_interval(first, even(problems), left_out)
        hits += found.low <= chances[0].mean() <= found.high
        change = difference_interval(first, second, even(problems), left_out)
        differences += change.low <= (chances[0] - chances[1]).mean() <= change.high
    assert covers(hits)
    assert differences > 0.93 * TRIALS


@pytest.mark.parametrize(("problems", "of", "samples"), [(30, 30, 4), (30, 30, 32), (22, 30, 8)])
def test_lengths_and_their_ratios_are_covered(problems: int, of: int, samples: int) -> None:
    random = np.random.default_rng(2)
    hits = ratios = 0
    left_out = np.full(problems, 1 - problems / of)
    for _ in range(TRIALS):
        means = 500 * random.lognormal(0, 0.7, of)
        others = means * random.lognormal(0.3, 0.2, of)
        first, second = (lengths(each[:problems], samples, random) for each in (means, others))
        found = length_interval(first, even(problems), left_out)
        hits += found.low <= means.mean() <= found.high
        ratio = ratio_interval(second, first, even(problems), left_out)
        ratios += ratio.low <= others.mean() / means.mean() <= ratio.high
    assert hits > 0.92 * TRIALS
    assert ratios > 0.92 * TRIALS


def test_with_many_samples_the_width_is_the_samples_noise_alone() -> None:
    """As SciPy's normal distribution has it for the sum of binomial numbers."""
    random = np.random.default_rng(3)
    chances, samples = random.beta(0.5, 0.5, 30), 2000
    sampled = shares(chances, samples, random)
    found = share_interval(sampled, even(30), np.zeros(30))
    exact = stats.binom(samples, chances).var().sum() ** 0.5 / samples / 30
    half = (found.high - found.low) / 2
    assert half == pytest.approx(stats.norm.ppf(0.975) * exact, rel=0.03)
    of_new = intervals.share_interval(sampled.means, even(30), samples)
    assert of_new.high - of_new.low > 10 * (found.high - found.low)


@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 100), st.floats(0.0, 0.9))
def test_ends_hold_the_value_and_unknown_problems_widen(
    problems: int, samples: int, seed: int, left_out: float
) -> None:
    random = np.random.default_rng(seed)
    sampled = shares(random.beta(0.5, 0.5, problems), samples, random)
    every = share_interval(sampled, even(problems), np.zeros(problems))
    some = share_interval(sampled, even(problems), np.full(problems, left_out))
    tiny = 1e-12  # of rounding
    assert 0.0 <= some.low <= every.low + tiny
    assert every.low <= every.value <= every.high <= some.high + tiny
    assert some.high <= 1.0
    more = Sampled(sampled.means, 4 * sampled.counts, sampled.variance, 4 * sampled.freedom)
    wider = share_interval(more, even(problems), np.zeros(problems))
    assert wider.high - wider.low < every.high - every.low


def test_all_right_is_no_certainty_and_one_problem_says_what_it_can() -> None:
    random = np.random.default_rng(4)
    found = share_interval(shares(np.ones(30), 4, random), even(30), np.zeros(30))
    assert 0.9 < found.low < 1.0
    one = length_interval(lengths(np.array([100.0]), 1, random), even(1), np.zeros(1))
    assert one.high > 2 * one.value
    often = length_interval(lengths(np.array([100.0]), 400, random), even(1), np.zeros(1))
    assert often.high < 1.1 * often.value


def test_the_table_and_the_differences_follow_what_the_answer_is_about() -> None:
    world = World(problems=30, seed=4).sweep((0.4, 0.6), samples=24)
    data = world.observations()
    of_new, here = summarise(data)[1], summarise(data, about="these-problems")[1]
    for name in ("score", "tokens", "think_ratio"):
        wide, narrow = getattr(of_new, name), getattr(here, name)
        assert wide.value == narrow.value
        assert narrow.high - narrow.low < 0.6 * (wide.high - wide.low)
    assert here.tokens_p95_interval == of_new.tokens_p95_interval
    wide_by = paired_difference(data, 1, 0).score
    narrow_by = paired_difference(data, 1, 0, about="these-problems").score
    assert wide_by.value == narrow_by.value
    assert narrow_by.high - narrow_by.low < wide_by.high - wide_by.low


def test_held_out_problems_count_among_those_that_were_not_asked() -> None:
    world = World(problems=40, held_out=10, seed=4).sweep((0.6,), samples=1)
    data = world.observations()
    asked = np.array([not problem.held_out for problem in data.problems])
    assert not_asked(data.problems, asked) == pytest.approx(np.full(30, 0.25))
