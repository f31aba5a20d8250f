from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.analysis.search.limits import Limits
from mi_tui.analysis.search.policy import Batch, PlannedRollout, Spent, Stop, next_batch
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.scope import ModuleKind, Scope
from mi_tui.plan.search import Search
from tests.analysis.synthetic import GRID, World, preset

SIZE = 48
ABLATION = interpolation(0.8, Scope(modules=(ModuleKind.FFN,)))


def spent(world: World) -> Spent:
    return Spent(len(world.rows), sum(row[4] for row in world.rows), 0.0)


def step(world: World, plan: Preset, **more: object) -> Batch | Stop:
    return next_batch(
        world.observations(),
        plan,
        spent=spent(world),
        size=SIZE,
        **more,  # type: ignore[arg-type]
    )


def run(world: World, plan: Preset, **more: object) -> tuple[list[Batch], Stop]:
    """A whole study, and every batch of it."""
    batches: list[Batch] = []
    while len(batches) < 400:
        found = step(world, plan, **more)
        if isinstance(found, Stop):
            return batches, found
        assert found.rollouts
        assert found.planned >= len(world.rows) + len(found.rollouts)
        world.answer(found.rollouts)
        batches.append(found)
    raise AssertionError("the search does not end")


def counts(world: World) -> Counter[float]:
    return Counter(world.recipes[row[0]].lambda_ or 0.0 for row in world.rows)


def test_a_study_goes_through_all_phases_and_settles() -> None:
    world = World(problems=48, held_out=12, seed=1)
    batches, stop = run(world, preset("tokens<=120", Search(samples=2, tolerance=0.02)))
    phases = [batch.phase.split(" λ")[0] for batch in batches]
    order = list(dict.fromkeys(phases))
    assert order[:2] == ["ends and coarse grid", "coarse grid"]
    assert order[-1] == "confirming on held-out problems"
    assert stop.settled
    assert len(world.rows) < 3000


def test_the_coarse_grid_is_complete_and_paired() -> None:
    world = World(problems=20)
    plan = preset(search=Search(samples=3, refine=False))
    batches, stop = run(world, plan)
    asked = {(world.recipes[r].lambda_, p, s) for r, p, s, *_ in world.rows}
    assert asked == {(x, p, s) for x in GRID for p in range(20) for s in range(3)}
    assert len(world.rows) == len(asked)
    for batch in batches:
        per_recipe = [
            {(a.problem, a.sample) for a in batch.rollouts if a.recipe == recipe}
            for recipe in {a.recipe for a in batch.rollouts}
        ]
        assert all(one == per_recipe[0] for one in per_recipe)
    assert stop.reason == "the grid is done"


def test_no_rollout_is_asked_twice() -> None:
    world = World(problems=16, held_out=4, seed=3)
    run(world, preset(search=Search(samples=2, max_rollouts=900)))
    asked = [(r, p, s) for r, p, s, *_ in world.rows]
    assert len(asked) == len(set(asked))


@cache
def a_whole_study() -> tuple[World, Preset]:
    plan = preset(search=Search(samples=1, max_rollouts=400))
    world = World(problems=24, held_out=8, seed=2)
    run(world, plan)
    return world, plan


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 500))
def test_the_next_step_depends_on_nothing_but_what_is_stored(cut: int) -> None:
    world, plan = a_whole_study()
    part = replace(world, rows=world.rows[: min(cut, len(world.rows))])
    observations = part.observations()
    shuffled = observations.where(np.random.default_rng(cut).permutation(len(observations)))
    first = next_batch(observations, plan, spent=spent(part), size=SIZE)
    second = next_batch(shuffled, plan, spent=spent(part), size=SIZE)
    assert first == second


def test_what_is_in_flight_is_not_asked_again() -> None:
    world = World(problems=20)
    plan = preset()
    first = step(world, plan)
    assert isinstance(first, Batch)
    second = step(world, plan, in_flight=first.rollouts)
    assert isinstance(second, Batch)
    assert not set(first.rollouts) & set(second.rollouts)


def test_before_the_end_the_search_waits_for_what_is_in_flight() -> None:
    world = World(problems=16, held_out=4)
    plan = preset(search=Search(samples=1, refine=False))
    while isinstance(found := step(world, plan), Batch) and "grid" in found.phase:
        last, before = found, replace(world, rows=list(world.rows), recipes=list(world.recipes))
        world.answer(found.rollouts)
    waiting = step(before, plan, in_flight=last.rollouts)
    assert isinstance(waiting, Batch)
    assert waiting.rollouts == ()


def test_refinement_goes_where_the_decision_is() -> None:
    world = World(problems=60, seed=5).sweep(samples=1)
    plan = preset("tokens<=150", Search(samples=1, tolerance=0.002, max_rollouts=900))
    run(world, plan)
    asked = counts(world)
    # Near 150 tokens, at λ = 0.7, it is decided; what happens below 0.4 does not matter.
    deciding = sum(n for lambda_, n in asked.items() if 0.55 <= lambda_ <= 0.9)
    elsewhere = sum(n for lambda_, n in asked.items() if lambda_ < 0.4)
    assert deciding - 2 * 60 > 3 * max(elsewhere - 2 * 60, 1)


@pytest.mark.parametrize(
    "search",
    [Search(max_rollouts=100), Search(max_tokens=8_000), Search(samples=1, max_rollouts=40)],
)
def test_limits_are_kept(search: Search) -> None:
    world = World(problems=40, held_out=10, seed=4)
    _, stop = run(world, preset(search=search))
    if search.max_rollouts:
        assert len(world.rows) <= search.max_rollouts
    if search.max_tokens:
        # The last batch is planned at the mean cost so far.
        assert spent(world).tokens <= 1.15 * search.max_tokens
    assert "reached" in stop.reason


def test_minutes_are_a_limit() -> None:
    world = World(problems=10).sweep(samples=1)
    plan = preset(search=Search(max_minutes=2))
    stop = next_batch(world.observations(), plan, spent=Spent(len(world.rows), 1, 121.0), size=SIZE)
    assert isinstance(stop, Stop)
    assert stop.reason == "max_minutes reached (2 of 2)"


def test_within_limits_every_lambda_of_the_grid_gets_its_share() -> None:
    world = World(problems=200, seed=1)
    run(world, preset(search=Search(samples=4, max_rollouts=140)))
    asked = counts(world)
    assert min(asked[lambda_] for lambda_ in GRID) >= 4
    assert len(asked) > len(GRID)


def test_rows_of_the_preset_and_of_the_user_are_evaluated_fully() -> None:
    world = World(problems=12, held_out=4)
    added = interpolation(0.33)
    plan = preset(search=Search(samples=2, refine=False), recipes=(ABLATION,))
    run(world, plan, added=(added,))
    for recipe in (ABLATION, added):
        mine = [row for row in world.rows if world.recipes[row[0]] == recipe]
        assert {(p, s) for _, p, s, *_ in mine} == {(p, s) for p in range(8) for s in range(2)}


def test_more_samples_of_a_row_are_asked() -> None:
    world = World(problems=10)
    wanted = interpolation(0.4)
    run(world, preset(search=Search(samples=1, refine=False)), more={wanted.key: 2})
    assert counts(world)[0.4] == 30
    assert counts(world)[0.6] == 10


def test_a_dropped_row_is_left_alone() -> None:
    world = World(problems=10)
    dropped = (interpolation(0.4), ABLATION)
    plan = preset(search=Search(samples=1, max_rollouts=300), recipes=(ABLATION,))
    run(world, plan, dropped=dropped)
    assert not set(dropped) & set(world.recipes)


def test_the_winner_is_confirmed_with_its_rival_on_held_out_problems() -> None:
    world = World(problems=40, held_out=10, seed=6)
    batches, _ = run(world, preset("knee", Search(samples=2)))
    asks = [ask for batch in batches for ask in batch.rollouts if ask.problem >= 30]
    confirmed = Counter(ask.recipe for ask in asks)
    assert len(confirmed) in (1, 2)
    assert set(confirmed.values()) == {20}
    assert all("confirming" in b.phase for b in batches if any(a.problem >= 30 for a in b.rollouts))


def test_a_hopeless_budget_ends_the_search() -> None:
    world = World(problems=40, seed=1)
    _, stop = run(world, preset("tokens<=5", Search(samples=2)))
    assert stop == Stop("no λ meets the limit", settled=True)


def test_a_budget_in_seconds_without_a_speed_is_searched_as_the_knee() -> None:
    world = World(problems=20).sweep(samples=4)
    assert step(world, preset("seconds<=1")) == step(world, preset("knee"))


def test_limits_are_translated_at_the_mean_cost() -> None:
    world = World(problems=10, tokens=lambda _: 100.0).sweep((0.2, 0.8), samples=5)
    search = Search(max_tokens=30_000, max_rollouts=10_000)
    limits = Limits.of(search, spent(world), world.observations(), in_flight=20)
    expected = 30_000 * 100 / spent(world).tokens
    assert limits.in_all == pytest.approx(expected, abs=1)
    assert limits.left_before(0.1) == pytest.approx(0.9 * expected - 120, abs=2)


def test_asks_are_hashable_and_comparable() -> None:
    assert (
        len({PlannedRollout(interpolation(0.5), 1, 0), PlannedRollout(interpolation(0.5), 1, 0)})
        == 1
    )


def test_a_grid_that_is_asked_whole_before_any_answer_is_waited_for() -> None:
    world = World(problems=6, seed=3)
    plan = preset("tokens<=120", Search(samples=1))
    in_flight: list[PlannedRollout] = []
    while (
        isinstance(found := step(world, plan, in_flight=tuple(in_flight)), Batch) and found.rollouts
    ):
        in_flight += found.rollouts
    assert len(in_flight) == 6 * len(plan.search.grid)
    assert isinstance(found, Batch)
    assert "waiting" in found.phase
    world.answer(in_flight)
    after = step(world, plan)
    assert isinstance(after, Stop) or after.rollouts


def test_a_continuation_goes_on_where_the_answer_is_settled_and_ends_at_its_amount() -> None:
    world = World(problems=48, held_out=12, seed=1)
    search = Search(samples=2, tolerance=0.02)
    _, stop = run(world, preset("tokens<=120", search))
    assert stop.settled
    had = len(world.rows)
    further = search.model_copy(update={"max_rollouts": had + 200})
    assert isinstance(step(world, preset("tokens<=120", further)), Stop), "it was settled"
    batches, stop = run(world, preset("tokens<=120", further), to_the_limit=True)
    assert had + 190 <= len(world.rows) <= had + 200
    assert all(batch.planned == had + 200 for batch in batches)
    assert stop.reason == f"max_rollouts reached ({len(world.rows):,} of {had + 200:,})"


def test_a_continuation_asks_rows_that_are_only_compared_evenly() -> None:
    world = World(problems=24, held_out=0, seed=2)
    search = Search(grid=(0.0, 0.8, 1.0), samples=2, refine=False)
    plan = preset("knee", search).model_copy(update={"recipes": (ABLATION,)})
    run(world, plan)
    had = Counter(row[0] for row in world.rows)
    further = search.model_copy(update={"max_rollouts": len(world.rows) + 120})
    run(world, plan.model_copy(update={"search": further}), to_the_limit=True)
    added = Counter(row[0] for row in world.rows) - had
    assert sum(added.values()) == 120
    assert len(added) == 4
    assert max(added.values()) - min(added.values()) <= 12
