"""A λ per layer group: found where there is one to find, and honest where there is none."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from pydantic import ValidationError

from mi_tui.analysis.search.layer_groups import (
    STEP,
    GroupResult,
    group_result,
    grouped,
    next_group_batch,
)
from mi_tui.analysis.search.policy import Batch, Spent, Stop, next_batch
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, interpolation
from mi_tui.plan.scope import parse_layers
from mi_tui.plan.search import Search
from tests.analysis.synthetic import World, preset

GROUPS = tuple(parse_layers(text) for text in ("0-8", "9-17", "18-26", "27-35"))
Curve = Callable[[tuple[float, ...]], float]


def lambdas_of(recipe: Recipe) -> tuple[float, ...]:
    if recipe.rules:
        return tuple(rule.lambda_ for rule in recipe.rules)
    return (recipe.lambda_ or 0.0,) * len(GROUPS)


def uneven_score(lambdas: tuple[float, ...]) -> float:
    """Only the last two groups matter for the score."""
    return 0.2 + 0.6 * (lambdas[2] + lambdas[3]) / 2


def even_score(lambdas: tuple[float, ...]) -> float:
    return 0.2 + 0.6 * sum(lambdas) / len(lambdas)


def even_tokens(lambdas: tuple[float, ...]) -> float:
    return 60 + 200 * sum(lambdas) / len(lambdas)


@dataclass
class GroupWorld(World):
    """A world whose score and length follow each group's λ."""

    score_of: Curve = field(default=even_score)

    def ask(self, recipe: Recipe, problem: int, sample: int) -> None:
        lambdas = lambdas_of(recipe)
        self.score = lambda _: self.score_of(lambdas)
        self.tokens = lambda _: even_tokens(lambdas)
        super().ask(recipe, problem, sample)


def plan(**search: object) -> Preset:
    wanted = {"grid": (0.0, 0.4, 0.5, 0.6, 1.0), "samples": 4, "refine": False} | search
    return preset("tokens<=165", Search.model_validate({**wanted, "layer_groups": GROUPS}))


def run(world: World, wanted: Preset) -> tuple[list[Batch], Stop]:
    """The uniform search and then the groups, as the worker plans them."""
    batches: list[Batch] = []
    for _ in range(300):
        seen = world.observations()
        spent = Spent(len(world.rows), sum(row[4] for row in world.rows), 0.0)
        step = next_batch(seen, wanted, spent=spent, size=600)
        if isinstance(step, Stop):
            step = next_group_batch(
                seen, wanted, spent=spent, in_flight=(), latency=None, uniform=step
            )
        if isinstance(step, Stop):
            return batches, step
        world.answer(step.rollouts)
        batches.append(step)
    raise AssertionError("the search does not end")


def outcome(score_of: Curve, seed: int, **search: object) -> tuple[GroupWorld, GroupResult]:
    world = GroupWorld(problems=100, held_out=40, seed=seed, score_of=score_of)
    wanted = plan(**search)
    run(world, wanted)
    return world, group_result(world.observations(), wanted)


@pytest.fixture(scope="module")
def uneven() -> tuple[GroupWorld, GroupResult]:
    """A study of a model whose groups matter differently."""
    return outcome(uneven_score, seed=6)


def test_groups_that_matter_differently_are_found_and_shown_on_held_out_problems(
    uneven: tuple[GroupWorld, GroupResult],
) -> None:
    world, found = uneven
    assert found.beats, found.sentence
    assert found.recipe is not None
    assert found.rival is not None
    assert found.held_out is not None
    first, _, third, fourth = lambdas_of(found.recipe)
    assert third + fourth > 2 * first
    assert "beats the uniform front" in found.sentence
    assert found.held_out.problems == 40
    assert not found.rival.rules
    assert len(world.recipes) < 25


@pytest.mark.parametrize(
    ("seeds", "most"), [(range(4), 1), pytest.param(range(4, 44), 3, marks=pytest.mark.slow)]
)
def test_where_only_the_mean_matters_hardly_any_study_claims_a_win(seeds: range, most: int) -> None:
    claims = [outcome(even_score, seed)[1] for seed in seeds]
    assert sum(found.beats for found in claims) <= most
    assert all("beats the uniform front" not in f.sentence for f in claims if not f.beats)


def test_the_winner_is_chosen_without_held_out_problems(
    uneven: tuple[GroupWorld, GroupResult],
) -> None:
    world, found = uneven
    asked = {world.recipes[recipe] for recipe, problem, *_ in world.rows if problem >= 60}
    grouped_there = [recipe for recipe in asked if recipe.rules]
    assert grouped_there == [found.recipe]


def test_a_limit_of_rollouts_is_kept_and_what_is_missing_is_said() -> None:
    world = GroupWorld(problems=40, held_out=10, seed=3)
    wanted = plan(max_rollouts=700)
    _, stop = run(world, wanted)
    assert len(world.rows) <= 700
    assert "reached" in stop.reason
    assert not group_result(world.observations(), wanted).beats


def test_nothing_is_asked_while_asks_are_in_flight() -> None:
    world = GroupWorld(problems=20, held_out=5, seed=4)
    wanted = plan(grid=(0.0, 0.5, 1.0), samples=2)
    seen = world.sweep((0.0, 0.5, 1.0)).observations()
    uniform = Stop("done", True)
    step = next_group_batch(
        seen, wanted, spent=Spent(), in_flight=(), latency=None, uniform=uniform
    )
    assert isinstance(step, Batch)
    assert step.rollouts
    assert {ask.problem for ask in step.rollouts} <= set(range(15))
    waiting = next_group_batch(
        seen, wanted, spent=Spent(), in_flight=step.rollouts, latency=None, uniform=uniform
    )
    assert isinstance(waiting, Batch)
    assert waiting.rollouts == ()


def test_a_dropped_row_is_not_asked_again() -> None:
    wanted = plan(grid=(0.0, 0.5, 1.0), samples=2)
    seen = World(problems=20, held_out=5, seed=4).sweep((0.0, 0.5, 1.0)).observations()
    uniform = Stop("done", True)

    def step(*dropped: Recipe) -> Batch | Stop:
        return next_group_batch(
            seen, wanted, spent=Spent(), in_flight=(), latency=None, uniform=uniform,
            dropped=dropped,
        )  # fmt: skip

    first = step()
    assert isinstance(first, Batch)
    unwanted = first.rollouts[-1].recipe
    second = step(unwanted)
    assert isinstance(second, Batch)
    assert unwanted not in {ask.recipe for ask in second.rollouts}
    assert len(second.rollouts) < len(first.rollouts)


@pytest.mark.parametrize("groups", [["0-8", "8-17"], ["all"], ["0-8", "4"]])
def test_groups_that_share_a_layer_are_refused(groups: list[str]) -> None:
    with pytest.raises(ValidationError, match="layer groups share no layer"):
        Search.model_validate({"layer_groups": groups})


def test_groups_without_held_out_problems_are_refused() -> None:
    wanted = plan()
    probes = tuple(probe.model_copy(update={"held_out": 0.0}) for probe in wanted.probes)
    content = wanted.model_copy(update={"probes": probes}).canonical_json()
    with pytest.raises(ValidationError, match="held-out problems"):
        Preset.from_json(content)


@pytest.mark.parametrize("lambda_", [0.0, 0.05, 0.95, 1.0])
def test_groups_stay_inside_the_interval(lambda_: float) -> None:
    found = grouped(interpolation(lambda_), plan(), [STEP, -STEP, 0.0, STEP])
    assert all(0.0 <= rule.lambda_ <= 1.0 for rule in found.rules)
    assert found.lambda_ == lambda_
