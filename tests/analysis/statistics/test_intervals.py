import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from mi_tui.analysis.statistics.intervals import (
    difference_interval,
    length_interval,
    ratio_interval,
    share_interval,
)
from mi_tui.analysis.statistics.quantiles import quantile_intervals

STUDIES = 300


def even(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.full(count, 1 / count)


@pytest.mark.parametrize("problems", [10, 30, 100])
def test_shares_are_covered_at_the_stated_rate(problems: int) -> None:
    random = np.random.default_rng(problems)
    hits = []
    for samples, mean, alike in itertools.product((1, 4, 16), (0.1, 0.5, 0.9), (0.1, 0.4)):
        a, b = mean * (1 / alike - 1), (1 - mean) * (1 / alike - 1)
        for _ in range(STUDIES):
            values = random.binomial(samples, random.beta(a, b, problems)) / samples
            found = share_interval(values, even(problems), samples)
            hits.append(found.low <= mean <= found.high)
    assert 0.93 <= np.mean(hits) <= 0.97


@pytest.mark.parametrize("problems", [10, 30, 100])
def test_lengths_and_their_ratios_are_covered_at_the_stated_rate(problems: int) -> None:
    random = np.random.default_rng(problems)
    mean = np.exp((0.35**2 + 0.5**2) / 2)
    hits, ratio_hits = [], []
    for _ in range(4 * STUDIES):
        shared = 0.35 * random.normal(size=(problems, 1))
        first, second = (
            np.exp(shared + 0.5 * random.normal(size=(problems, 4))).mean(axis=1) for _ in "ab"
        )
        found = length_interval(first, even(problems))
        hits.append(found.low <= mean <= found.high)
        ratio = ratio_interval(2 * first, second, even(problems))
        ratio_hits.append(ratio.low <= 2 <= ratio.high)
    assert 0.925 <= np.mean(hits) <= 0.97
    assert 0.925 <= np.mean(ratio_hits) <= 0.97


@pytest.mark.parametrize("problems", [10, 30, 100])
def test_quantiles_are_covered_at_the_stated_rate(problems: int) -> None:
    random = np.random.default_rng(problems)
    cap = 1e6
    hits, low_hits = [], []
    for samples, alike in itertools.product((1, 4, 16), (0.2, 0.5)):
        problem = np.repeat(np.arange(problems), samples)
        true = [math.exp(6 + norm.ppf(level) * math.hypot(alike, 0.5)) for level in (0.5, 0.95)]
        for _ in range(STUDIES):
            shared = alike * random.normal(size=problems)[problem]
            lengths = np.exp(6 + shared + 0.5 * random.normal(size=len(problem)))
            median, tail = quantile_intervals(
                problem, np.ceil(lengths).astype(np.int64), even(problems), (0.5, 0.95), cap
            )
            hits.append(median.low <= true[0] + 1 and true[0] <= median.high)
            low_hits.append(tail.low <= true[1] + 1)
            if tail.high < cap:
                hits.append(tail.low <= true[1] + 1 and true[1] <= tail.high)
    assert 0.93 <= np.mean(hits) <= 0.97
    # One side alone misses half as often, and less where few problems round it outwards.
    assert 0.955 <= np.mean(low_hits) <= 0.995


def test_few_problems_bound_the_tail_by_the_cap_alone() -> None:
    lengths = np.arange(100, 110)
    median, tail = quantile_intervals(np.arange(10), lengths, even(10), (0.5, 0.95), 4096.0)
    assert 100 <= median.low < median.value < median.high < 110
    assert tail.value == 109
    assert tail.high == 4096


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50)), min_size=1, max_size=60))
def test_a_quantile_is_the_inverse_of_the_distribution_function(
    responses: list[tuple[int, int]],
) -> None:
    _, problem = np.unique([p for p, _ in responses], return_inverse=True)
    lengths = np.array([length for _, length in responses])
    counts = np.bincount(problem)
    weights = counts / counts.sum()
    for level in (0.05, 0.5, 0.95):
        (found,) = quantile_intervals(problem, lengths, weights, (level,), 50.0)
        assert found.value == np.quantile(lengths, level, method="inverted_cdf")
        assert 0 <= found.low <= found.value <= found.high <= 50


@pytest.mark.parametrize("problems", [15, 60])
def test_paired_differences_are_covered_at_the_stated_rate(problems: int) -> None:
    random = np.random.default_rng(problems)
    hits = []
    for samples in (1, 4, 16):
        for _ in range(2 * STUDIES):
            chance = random.beta(1.5, 1.5, problems)
            better = chance + 0.2 * (1 - chance)
            first = random.binomial(samples, better) / samples
            second = random.binomial(samples, chance) / samples
            found = difference_interval(first, second, even(problems), samples)
            hits.append(found.low <= 0.1 <= found.high)
    assert 0.93 <= np.mean(hits) <= 0.975


@pytest.mark.parametrize("mean", [0.0, 1.0])
@pytest.mark.parametrize("problems", [1, 2, 30])
def test_agreement_of_all_problems_is_no_certainty(mean: float, problems: int) -> None:
    found = share_interval(np.full(problems, mean), even(problems), 4.0)
    assert found.value == pytest.approx(mean)
    assert found.high - found.low > 0.02
    assert 0 <= found.low <= found.high <= 1


def test_pairing_makes_a_difference_certain_sooner() -> None:
    random = np.random.default_rng(0)
    chance = random.beta(0.5, 0.5, 80)
    first, second = (random.binomial(8, chance) / 8 for _ in "ab")
    paired = difference_interval(first, second, even(80), 8)
    apart = difference_interval(first, random.permutation(second), even(80), 8)
    assert paired.high - paired.low < 0.6 * (apart.high - apart.low)


def test_one_problem_says_little_of_lengths() -> None:
    found = length_interval(np.array([100.0]), np.array([1.0]))
    assert found.low < 50
    assert found.high > 200
