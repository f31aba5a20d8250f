"""Samples per problem that differ by probe, as in the paper: 64 of AIME'25, 8 of the others."""

from collections import Counter
from dataclasses import replace

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.search.policy import Batch, Spent, next_batch
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.scope import ModuleKind, Scope
from mi_tui.plan.search import Search
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from tests.analysis.synthetic import World, preset

ROW = interpolation(0.8, Scope(modules=(ModuleKind.FFN,)))
GRID = (0.0, 0.6, 1.0)


def two_probes(samples: int, own: int | None) -> Preset:
    """The first two problems belong to a probe with a number of samples of its own."""
    probes = (
        ArithmeticProbe(kind="arithmetic", name="few", problems=2, samples=own),
        ArithmeticProbe(kind="arithmetic", name="many", problems=6),
    )
    search = Search(samples=samples, refine=False, grid=GRID)
    return preset(search=search).model_copy(update={"probes": probes, "recipes": (ROW,)})


def seen(world: World) -> Observations:
    found = world.observations()
    problems = tuple(
        replace(problem, probe="few" if at < 2 else "many")
        for at, problem in enumerate(found.problems)
    )
    return replace(found, problems=problems)


def asked(plan: Preset, held_out: int = 0, **more: object) -> Counter[tuple[str, int]]:
    """How often each (recipe, problem) is asked until the study is done."""
    world = World(problems=8, held_out=held_out)
    for _ in range(300):
        step = next_batch(
            seen(world),
            plan,
            spent=Spent(len(world.rows)),
            size=8,
            **more,  # type: ignore[arg-type]
        )
        if not isinstance(step, Batch):
            break
        world.answer(step.rollouts)
    assert len({row[:3] for row in world.rows}) == len(world.rows)
    return Counter((world.recipes[recipe].label, problem) for recipe, problem, *_ in world.rows)


def test_a_probe_has_its_own_samples_in_grid_and_rows() -> None:
    counts = asked(two_probes(samples=2, own=16))
    recipes = [interpolation(value).label for value in GRID] + [ROW.label]
    assert counts == {
        (label, problem): 16 if problem < 2 else 2 for label in recipes for problem in range(8)
    }


def test_fewer_samples_than_the_searchs_are_kept_too() -> None:
    counts = asked(two_probes(samples=5, own=1))
    assert {count for (_, problem), count in counts.items() if problem < 2} == {1}
    assert {count for (_, problem), count in counts.items() if problem >= 2} == {5}


def test_without_a_number_of_its_own_a_probe_has_the_searchs() -> None:
    assert set(asked(two_probes(samples=3, own=None)).values()) == {3}


def test_more_of_a_row_adds_to_each_probes_own() -> None:
    counts = asked(two_probes(samples=2, own=4), more={ROW.key: 3})
    assert counts[ROW.label, 0] == 4 + 3
    assert counts[ROW.label, 5] == 2 + 3
    assert counts["MI-0", 0] == 4


def test_held_out_problems_are_confirmed_with_their_probes_samples() -> None:
    counts = asked(two_probes(samples=2, own=4), held_out=3)
    confirmed = {count for (_, problem), count in counts.items() if problem >= 5}
    assert confirmed == {2}


def test_small_rows_share_a_batch_so_that_the_engine_is_busy() -> None:
    other = interpolation(0.7, Scope(modules=(ModuleKind.FFN,)))
    plan = two_probes(samples=1, own=None).model_copy(update={"recipes": (ROW, other)})
    world = World(problems=8).sweep(GRID, samples=1)
    step = next_batch(seen(world), plan, spent=Spent(len(world.rows)), size=12)
    assert isinstance(step, Batch)
    assert len(step.rollouts) == 12
    assert [ask.recipe for ask in step.rollouts] == [ROW] * 8 + [other] * 4
    assert ROW.label in step.phase
    assert other.label in step.phase
