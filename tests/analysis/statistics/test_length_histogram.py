"""Histograms of lengths: every response in one bin, thinking apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.statistics.length_histogram import length_histogram
from mi_tui.plan.recipe import interpolation
from tests.analysis.synthetic import World

BINS = 24


def counted(world: World, bins: int = BINS) -> int:
    found = length_histogram(world.observations(), bins)
    return sum(row.thinking.responses + row.direct.responses for row in found.recipes)


def test_every_response_to_a_search_problem_is_in_one_bin() -> None:
    world = World(problems=20, held_out=5, seed=1).sweep((0.0, 0.5, 1.0), samples=3)
    world.ask(interpolation(0.5), 19, 0)
    observations = world.observations()
    held_out = np.array([problem.held_out for problem in observations.problems])
    found = length_histogram(observations, BINS)
    assert BINS // 2 < len(found.edges) <= BINS + 1
    assert np.diff(found.edges).min() >= 1
    assert counted(world) == int((~held_out[observations.problem]).sum())
    assert [row.recipe.lambda_ for row in found.recipes] == [0.0, 0.5, 1.0]
    longest = found.recipes[-1].thinking
    assert longest.median is not None
    mine = observations.tokens[
        (observations.recipe == 2) & observations.thinking & ~held_out[observations.problem]
    ]
    assert longest.median == float(np.median(mine))


@given(st.integers(1, 200), st.integers(1, 5))
def test_no_response_falls_out_at_any_number_of_bins(bins: int, seed: int) -> None:
    world = World(problems=6, seed=seed).sweep((0.0, 1.0), samples=1)
    assert counted(world, bins) == len(world.rows)


def test_without_rollouts_there_is_nothing() -> None:
    assert length_histogram(World(problems=3, held_out=0, seed=1).observations(), 5).recipes == ()
