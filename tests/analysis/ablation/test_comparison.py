"""An ablation's table: paired differences that hold together, and grids of its rows."""

from dataclasses import replace

import numpy as np
import pytest

from mi_tui.analysis.ablation.comparison import ComparisonError, compare, find_reference, verdict_of
from mi_tui.analysis.ablation.grid import grids
from mi_tui.analysis.results import Estimate
from mi_tui.analysis.statistics.metrics import paired_difference, summarise
from mi_tui.plan.recipe import Decoding, Recipe, interpolation
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from mi_tui.plan.search import Search
from mi_tui.present.comparison import COLUMNS, paired_lines
from tests.analysis.synthetic import World, preset

REFERENCE = interpolation(0.8)
FFN = interpolation(0.8, Scope(modules=(ModuleKind.FFN,)))
LAST = interpolation(0.8, Scope(layers=parse_layers("12-35")))
LAST_FFN = interpolation(0.8, Scope(layers=parse_layers("12-35"), modules=(ModuleKind.FFN,)))


def flat(_: float) -> float:
    return 0.6


def asked(*recipes: Recipe, problems: int = 30, samples: int = 4, seed: int = 0) -> World:
    """Every recipe on every problem; all score the same but for λ."""
    world = World(problems=problems, seed=seed, score=flat)
    for recipe in recipes:
        for problem in range(problems):
            for sample in range(samples):
                world.ask(recipe, problem, sample)
    return world


def test_every_row_is_compared_with_the_reference_on_the_same_problems() -> None:
    world = asked(REFERENCE, FFN, LAST)
    found = compare(world.observations(), REFERENCE)
    assert [row.label for row in found.rows] == [FFN.label, LAST.label]
    for row in found.rows:
        assert row.difference is not None
        assert row.difference.second == REFERENCE
        gap = row.summary.score.value - found.reference.score.value
        assert row.difference.score.value == pytest.approx(gap)


def test_what_was_not_scored_stands_beside_the_scores_and_in_the_note() -> None:
    observations = asked(REFERENCE, FFN, LAST).observations()
    score = observations.score.copy()
    score[np.flatnonzero(observations.recipe == 1)[:3]] = np.nan
    found = compare(replace(observations, score=score), REFERENCE)
    assert found.not_scored == 3
    assert "3 responses could not be scored and count nowhere (!)." in found.note
    shown = [[column.text(line) for column in COLUMNS][1] for line in paired_lines(found)]
    assert [text.endswith("!") for text in shown] == [False, True, False]
    assert found.model_dump()["rows"][0]["summary"]["not_scored"] == 3
    assert "scored" not in compare(observations, REFERENCE).note


def test_more_rows_widen_every_interval() -> None:
    world = asked(REFERENCE, FFN, LAST, LAST_FFN)
    observations = world.observations()
    (first, *_) = compare(observations, REFERENCE).rows
    alone = paired_difference(observations, 1, 0)
    assert first.difference is not None
    width = first.difference.score.high - first.difference.score.low
    assert width > 1.05 * (alone.score.high - alone.score.low)


def test_with_no_true_difference_a_table_of_eleven_rows_rarely_shows_one() -> None:
    rows = [
        interpolation(0.4).model_copy(update={"decoding": Decoding(temperature=0.1 * t)})
        for t in range(1, 12)
    ]
    shown = 0
    for seed in range(60):
        world = asked(interpolation(0.4), *rows, problems=24, samples=2, seed=seed)
        found = compare(world.observations(), interpolation(0.4))
        shown += any(row.verdict != "unclear" for row in found.rows)
    assert shown <= 8  # 3 expected of 60; over 8 has a chance below 1 %


def test_a_row_without_a_common_problem_is_shown_without_a_difference() -> None:
    world = World(problems=4)
    world.ask(REFERENCE, 0, 0)
    world.ask(FFN, 1, 0)
    (row,) = compare(world.observations(), REFERENCE).rows
    assert row.difference is None
    assert row.verdict == "no common problem"


def test_verdicts() -> None:
    assert verdict_of(Estimate(value=-0.2, low=-0.3, high=-0.1)) == "lower"
    assert verdict_of(Estimate(value=0.2, low=0.1, high=0.3)) == "higher"
    assert verdict_of(Estimate(value=0.1, low=-0.1, high=0.3)) == "unclear"


def test_the_reference_is_the_lambda_of_most_rows_or_the_one_named() -> None:
    plan = preset(search=Search(grid=(0.0, 0.4, 0.8, 1.0))).model_copy(
        update={"recipes": (FFN, LAST)}
    )
    world = asked(interpolation(0.0), interpolation(0.4), REFERENCE, FFN, LAST)
    observations = world.observations()
    assert find_reference(observations, plan) == REFERENCE
    assert find_reference(observations, plan, "MI-0.4") == interpolation(0.4)
    with pytest.raises(ComparisonError, match=r"no row 'MI-0\.9': there are MI-0, MI-0\.4"):
        find_reference(observations, plan, "MI-0.9")


def test_a_reference_that_scores_best_of_several_is_said_to_be_lucky_in_part() -> None:
    sweep = World(problems=30, seed=1).sweep((0.0, 0.2, 0.4, 0.8)).observations()
    assert "in part luck" in compare(sweep, interpolation(0.8)).note
    assert "in part luck" not in compare(sweep, interpolation(0.2)).note
    few = World(problems=30, seed=1).sweep((0.0, 0.8, 1.0)).observations()
    assert "in part luck" not in compare(few, interpolation(0.8)).note


def test_without_rows_of_a_lambda_the_one_between_the_ends_is_the_reference() -> None:
    plan = preset(search=Search(grid=(0.0, 0.6, 1.0)))
    world = asked(interpolation(0.0), interpolation(0.6), interpolation(1.0))
    assert find_reference(world.observations(), plan) == interpolation(0.6)


def test_nothing_asked_is_said() -> None:
    with pytest.raises(ComparisonError, match="no rollouts yet"):
        find_reference(World().observations(), preset())


def test_layers_by_modules_lie_on_a_grid_with_the_whole_model_first() -> None:
    world = asked(interpolation(0.0), REFERENCE, FFN, LAST, LAST_FFN)
    (grid,) = grids(summarise(world.observations()), REFERENCE)
    assert grid.rows == ("all", "12–35")
    assert grid.columns == ("all", "FFN only")
    assert grid.cells["12–35", "FFN only"].recipe == LAST_FFN
    assert len(grid.cells) == 4


def test_temperature_by_top_p_lie_on_a_grid_in_order() -> None:
    rows = [
        REFERENCE.model_copy(update={"decoding": Decoding(temperature=t, top_p=p)})
        for t in (0.7, 0.6)
        for p in (0.95, 0.8)
    ]
    world = asked(interpolation(0.0), *rows)
    (grid,) = grids(summarise(world.observations()), REFERENCE)
    assert grid.rows == ("T 0.6", "T 0.7")
    assert grid.columns == ("0.8", "0.95")
    assert len(grid.cells) == 4


def test_a_plain_sweep_has_no_grid() -> None:
    world = asked(*(interpolation(value) for value in np.linspace(0, 1, 5)))
    assert grids(summarise(world.observations()), interpolation(0.5)) == ()
