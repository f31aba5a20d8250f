"""Two knobs: found where the FFN gives more than attention, and honest where it does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from mi_tui.analysis.search.policy import Batch, PlannedRollout, Spent, Stop, next_batch
from mi_tui.analysis.search.two_knobs import KnobResult, knob_result, next_knob_batch, uniform_part
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, interpolation, with_knobs
from mi_tui.plan.search import Search
from tests.analysis.synthetic import World, preset

Curve = Callable[[float, float], float]


def ffn_score(attention: float, ffn: float) -> float:
    """The FFN brings the score, attention only length: a ridge at a high FFN."""
    return float(0.2 + 0.6 / (1 + np.exp(-(0.2 * attention + 0.8 * ffn - 0.5) / 0.1)))


def even_score(attention: float, ffn: float) -> float:
    return float(0.2 + 0.6 / (1 + np.exp(-(0.5 * attention + 0.5 * ffn - 0.5) / 0.1)))


def tokens_of(attention: float, ffn: float) -> float:
    return 60 + 200 * (0.5 * attention + 0.5 * ffn)


@dataclass
class KnobWorld(World):
    """A world whose score and length follow both knobs."""

    score_of: Curve = field(default=even_score)

    def ask(self, recipe: Recipe, problem: int, sample: int) -> None:
        assert recipe.knobs is not None
        knobs = recipe.knobs
        self.score = lambda _: self.score_of(*knobs)
        self.tokens = lambda _: tokens_of(*knobs)
        self.thinking = lambda _: knobs[1]
        super().ask(recipe, problem, sample)


def plan(**search: object) -> Preset:
    wanted = {"grid": (0.0, 0.4, 0.5, 0.6, 1.0), "samples": 2, "refine": False} | search
    return preset("tokens<=150", Search.model_validate({**wanted, "two_knobs": True}))


def step_of(world: World, wanted: Preset) -> Batch | Stop:
    """The next step, as the worker plans it."""
    seen = world.observations()
    spent = Spent(len(world.rows), sum(row[4] for row in world.rows), 0.0)
    step = next_batch(seen, uniform_part(wanted), spent=spent, size=300)
    if not isinstance(step, Stop):
        return step
    return next_knob_batch(
        seen, wanted, spent=spent, in_flight=(), size=150, latency=None, uniform=step
    )


def run(world: World, wanted: Preset) -> Stop:
    for _ in range(100):
        step = step_of(world, wanted)
        if isinstance(step, Stop):
            return step
        world.answer(step.rollouts)
    raise AssertionError("the search does not end")


def outcome(score_of: Curve, seed: int, **search: object) -> tuple[KnobWorld, KnobResult]:
    world = KnobWorld(problems=100, held_out=40, seed=seed, score_of=score_of)
    wanted = plan(**search)
    run(world, wanted)
    return world, knob_result(world.observations(), wanted)


@pytest.fixture(scope="module")
def ridge() -> tuple[KnobWorld, KnobResult]:
    """A study of a model whose FFN brings the score."""
    return outcome(ffn_score, seed=6)


def test_a_ridge_is_found_and_shown_on_held_out_problems(
    ridge: tuple[KnobWorld, KnobResult],
) -> None:
    _, found = ridge
    assert found.recipe is not None
    assert found.recipe.knobs is not None
    attention, ffn = found.recipe.knobs
    assert ffn > attention + 0.25
    assert tokens_of(attention, ffn) <= 150
    assert found.rival is not None
    truth = ffn_score(attention, ffn) - ffn_score(*(found.rival.knobs or (0.0, 0.0)))
    assert truth > 0.1
    assert found.beats, found.sentence
    assert found.held_out is not None
    assert found.held_out.problems == 40
    assert found.held_out.score.low <= truth <= found.held_out.score.high
    assert "they beat the uniform front" in found.sentence


def test_the_surface_knows_what_was_asked(ridge: tuple[KnobWorld, KnobResult]) -> None:
    world, found = ridge
    cells = {(cell.attention, cell.ffn): cell for cell in found.cells}
    assert len(cells) >= 121
    near = [abs(cell.score - ffn_score(*at)) for at, cell in cells.items()]
    assert np.mean(near) < 0.06
    recipe = with_knobs(interpolation(0.0), 0.0, 1.0)
    asked = [row for row in world.rows if world.recipes[row[0]] == recipe and row[1] < 60]
    assert cells[0.0, 1.0].rollouts == len(asked)


def test_the_point_is_chosen_without_held_out_problems(
    ridge: tuple[KnobWorld, KnobResult],
) -> None:
    world, found = ridge
    there = {world.recipes[recipe] for recipe, problem, *_ in world.rows if problem >= 60}
    assert [recipe for recipe in there if recipe.rules] == [found.recipe]


@pytest.mark.parametrize(
    ("seeds", "most"), [(range(1), 0), pytest.param(range(1, 31), 4, marks=pytest.mark.slow)]
)
def test_where_only_the_mean_matters_hardly_any_study_claims_a_win(seeds: range, most: int) -> None:
    claims = [outcome(even_score, seed)[1] for seed in seeds]
    assert sum(found.beats for found in claims) <= most
    assert all("beat the uniform front" not in f.sentence for f in claims if not f.beats)


def test_the_limit_is_shared_and_kept_and_what_is_missing_is_said() -> None:
    world = KnobWorld(problems=40, held_out=10, seed=3, score_of=ffn_score)
    wanted = plan(max_rollouts=600, refine=True, tolerance=0.001)
    stop = run(world, wanted)
    knobs = sum(bool(world.recipes[row[0]].rules) for row in world.rows)
    assert len(world.rows) <= 600
    assert 100 < knobs < 300
    assert "reached" in stop.reason


def test_nothing_is_asked_of_what_is_dropped_or_while_asks_are_in_flight() -> None:
    world = KnobWorld(problems=20, held_out=5, seed=4)
    seen = world.sweep((0.0, 0.5, 1.0)).observations()

    def step(in_flight: Sequence[PlannedRollout] = (), dropped: Sequence[Recipe] = ()) -> Batch:
        found = next_knob_batch(
            seen,
            plan(grid=(0.0, 0.5, 1.0)),
            spent=Spent(),
            in_flight=in_flight,
            size=64,
            latency=None,
            uniform=Stop("done", True),
            dropped=dropped,
        )
        assert isinstance(found, Batch)
        return found

    first = step()
    assert {ask.problem for ask in first.rollouts} <= set(range(15))
    assert any(ask.recipe.rules for ask in first.rollouts)
    unwanted = first.rollouts[-1].recipe
    assert unwanted not in {ask.recipe for ask in step(dropped=(unwanted,)).rollouts}
    assert step(in_flight=first.rollouts).rollouts == ()


def test_before_anything_off_the_diagonal_was_asked_nothing_is_claimed() -> None:
    world = World(problems=20, held_out=5, seed=4).sweep((0.0, 0.5, 1.0))
    found = knob_result(world.observations(), plan())
    assert found.recipe is None
    assert "not been searched" in found.sentence
