import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.results import Estimate
from mi_tui.analysis.statistics.metrics import (
    MetricError,
    paired_difference,
    pass_at_k,
    summarise,
    vote,
)
from mi_tui.plan.recipe import interpolation
from tests.analysis.synthetic import CAP, World


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_draws_with_a_success(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    outcomes = [True] * correct + [False] * (n - correct)
    draws = [any(draw) for draw in itertools.combinations(outcomes, k)]
    found = pass_at_k(np.array([float(n)]), np.array([float(correct)]), k)
    assert found[0] == pytest.approx(np.mean(draws))


@given(st.integers(1, 200), st.data())
def test_pass_at_k_equals_the_binomial_formula(n: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    expected = 1 - comb(n - correct, k, exact=True) / comb(n, k, exact=True)
    found = pass_at_k(np.array([float(n)]), np.array([float(correct)]), k)
    assert found[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("k", [0, 4])
def test_pass_at_k_is_refused_outside_its_definition(k: int) -> None:
    with pytest.raises(MetricError, match="not defined"):
        pass_at_k(np.array([8.0, 3.0]), np.array([1.0, 1.0]), k)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), max_size=40))
def test_vote_equals_counting_by_hand(responses: list[tuple[int, int]]) -> None:
    def right(problem: int, answer: int) -> bool:
        return answer >= 0 and (problem + answer) % 3 == 0

    problem = np.array([p for p, _ in responses], dtype=np.int64)
    answer = np.array([a for _, a in responses], dtype=np.int64)
    correct = np.array([right(p, a) for p, a in responses], dtype=bool)
    found = vote(problem, answer, correct, 4)
    for which in range(4):
        votes = Counter(a for p, a in responses if p == which and a >= 0)
        most = [a for a, count in votes.items() if count == max(votes.values())]
        expected = np.mean([right(which, a) for a in most]) if most else 0.0
        assert found.value[which] == pytest.approx(expected)
        assert found.tied[which] == (len(most) > 1)
        assert found.unanswered[which] == (not most)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_row_equals_plain_averages(seed: int) -> None:
    world = World(problems=6, seed=seed).sweep((0.0, 0.7), samples=3)
    rows = summarise(world.observations())
    for place, row in enumerate(rows):
        mine = [r for r in world.rows if r[0] == place]
        assert row.rollouts == 18
        assert row.samples == 3
        assert row.score.value == pytest.approx(np.mean([r[3] for r in mine]))
        assert row.tokens.value == pytest.approx(np.mean([r[4] for r in mine]))
        assert row.think_ratio.value == pytest.approx(np.mean([r[5] for r in mine]))
        lengths = [r[4] for r in mine]
        assert row.tokens_p50 == np.quantile(lengths, 0.5, method="inverted_cdf")
        assert row.tokens_p95 == np.quantile(lengths, 0.95, method="inverted_cdf")
        solved = {p for _, p, _, score, *_ in mine if score == 1}
        assert row.pass_at_k is not None
        assert row.pass_at_k.value == pytest.approx(len(solved) / 6)
        estimates = [value for value in vars(row).values() if isinstance(value, Estimate)]
        assert len(estimates) == 10
        for estimate in estimates:
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate.low < estimate.high


def test_vote_uses_the_first_k_samples_of_every_problem() -> None:
    world = World(problems=2).sweep((0.5,), samples=3)
    whole = summarise(world.observations())[0]
    world.ask(interpolation(0.5), 0, 3)
    again = summarise(world.observations())[0]
    assert again.samples == 3
    assert again.vote_at_k == whole.vote_at_k


def test_one_sample_has_no_pass_or_vote() -> None:
    row = summarise(World(problems=5).sweep((0.5,), samples=1).observations())[0]
    repeated = (row.pass_at_k, row.vote_at_k, row.vote_ties, row.vote_no_answer)
    assert repeated == (None,) * 4


def test_ties_and_silent_problems_are_counted() -> None:
    world = World(problems=4).sweep((0.5,), samples=2)
    voted = replace(
        world.observations(),
        answer=np.array([0, 0, 0, 1, -1, 0, -1, -1]),
        score=np.array([1.0, 1, 1, 0, 0, 1, 0, 0]),
    )
    row = summarise(voted)[0]
    assert row.vote_at_k is not None
    assert row.vote_ties is not None
    assert row.vote_no_answer is not None
    assert row.vote_at_k.value == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    assert row.vote_ties.value == row.vote_no_answer.value == pytest.approx(0.25)


def two_probes() -> Observations:
    """A probe of two problems with three quarters of the weight, all right; one of four, wrong."""
    problems = tuple(
        ProblemRow("light" if i < 4 else "heavy", str(i), "", 0.25 if i < 4 else 1.5, 50, False)
        for i in range(6)
    )
    order = np.arange(6)
    score = (order >= 4).astype(float)
    none = np.zeros(6, dtype=bool)
    return Observations(
        (interpolation(0.5),), problems, 0 * order, order, 0 * order, score, 10 + order, none,
        none, 0 * order,
    )  # fmt: skip


def test_probes_weigh_as_the_preset_says() -> None:
    assert summarise(two_probes())[0].score.value == pytest.approx(0.75)


def test_a_half_asked_probe_keeps_its_weight() -> None:
    observations = two_probes()
    row = summarise(observations.where(observations.problem != 5))[0]
    assert row.problems == 5
    assert row.score.value == pytest.approx(0.75)


def test_held_out_problems_stay_out_of_the_table() -> None:
    world = World(problems=8, held_out=4).sweep((0.2,), samples=1)
    before = summarise(world.observations())
    world.ask(interpolation(0.2), 7, 0)
    assert summarise(world.observations()) == before


def test_recipes_without_rollouts_have_no_row() -> None:
    observations = World(problems=4).sweep((0.2, 0.6)).observations()
    rows = summarise(observations.where(observations.recipe == 1))
    assert [row.recipe for row in rows] == [interpolation(0.6)]


def test_truncation_is_shown_and_censors_the_length() -> None:
    world = World(problems=20, tokens=lambda _: 1900.0).sweep((0.9,))
    row = summarise(world.observations())[0]
    assert row.truncated == pytest.approx(np.mean([r[6] for r in world.rows]))
    assert row.truncated > 0.05
    assert row.truncated_interval.low > 0.05
    assert row.tokens_p95_interval.high == CAP
    assert row.tokens_censored
    assert not summarise(World(problems=20).sweep((0.9,)).observations())[0].tokens_censored


def test_latency_turns_tokens_into_seconds() -> None:
    latency = Latency(0.5, 0.02)
    row = summarise(World().sweep((0.9,)).observations(), latency=latency)[0]
    assert row.seconds is not None
    assert row.seconds_p95 is not None
    assert row.seconds.value == pytest.approx(0.5 + 0.02 * (row.tokens.value - 1))
    assert row.seconds.low < row.seconds.value < row.seconds.high
    assert row.seconds_p95.value == pytest.approx(0.5 + 0.02 * (row.tokens_p95 - 1))
    assert row.seconds_p95.low < latency.seconds(row.tokens_p95_interval.low)
    assert row.seconds_p95.high > latency.seconds(row.tokens_p95_interval.high)


def test_a_paired_difference_uses_the_common_problems() -> None:
    world = World(problems=30).sweep((0.2, 0.8))
    both = paired_difference(world.observations(), 1, 0)
    alone = [r for r in world.rows if not (r[0] == 0 and r[1] < 10)]
    some = paired_difference(replace_rows(world, alone), 1, 0)
    assert both.problems == 30
    assert some.problems == 20
    assert both.score.value > 0.3
    assert both.score.low > 0
    assert both.tokens_ratio.value == pytest.approx(
        np.mean([r[4] for r in world.rows if r[0] == 1])
        / np.mean([r[4] for r in world.rows if r[0] == 0])
    )


def replace_rows(
    world: World, rows: list[tuple[int, int, int, float, int, bool, bool, int]]
) -> Observations:
    return replace(world, rows=rows).observations()


def test_recipes_without_a_common_problem_cannot_be_compared() -> None:
    world = World(problems=2)
    world.ask(interpolation(0.1), 0, 0)
    world.ask(interpolation(0.9), 1, 0)
    with pytest.raises(MetricError, match="no problem in common"):
        paired_difference(world.observations(), 0, 1)
