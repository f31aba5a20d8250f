"""Planning: the same rounds whatever was stored when the planner was asked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mi_tui.plan.preset import Preset
from mi_tui.probes.freeze import freeze
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.store import Store
from mi_tui.study.worker.rounds import Finished, RoundPlanner
from tests.study.presets import small_preset

Plan = tuple[tuple[int, int, int, int], ...]


def answered(store: Store, ask: PlannedAsk) -> Rollout:
    """A rollout that depends on nothing but what was asked."""
    random = np.random.default_rng([ask.recipe, ask.problem, ask.sample])
    lambda_ = store.recipes()[ask.recipe].lambda_ or 0.0
    thinks = bool(random.random() < lambda_)
    tokens = int(random.integers(5, 20) + 80 * thinks)
    score = float(random.random() < 0.3 + 0.5 * thinks)
    return Rollout(
        ask=ask, seed=1, text="x", score=score, tokens=tokens, think_tokens=tokens * thinks,
        thinking=thinks, truncated=False, answer="4", failure=None, seconds=0.1,
    )  # fmt: skip


def begun(folder: Path, preset: Preset) -> Store:
    store = Store(folder / "study.db", create=True)
    store.add_probes([freeze(probe) for probe in preset.probes])
    return store


def planned(
    folder: Path, preset: Preset, store_when: Callable[[int, list[PlannedAsk]], int], restart: bool
) -> list[Plan]:
    """The rounds of a whole study.

    ``store_when`` says, at each turn, how many of the open rollouts are stored before the
    planner is asked again; with ``restart`` each turn is a new worker's.
    """
    rounds: list[Plan] = []
    with begun(folder, preset) as store:
        planner = RoundPlanner(store, preset, 12)
        for turn in range(500):
            plan = planner.plan()
            if isinstance(plan, Finished):
                return rounds
            if plan:
                rounds.append(tuple((a.recipe, a.problem, a.sample, a.round) for a in plan))
            done = planner.open_asks[: store_when(turn, planner.open_asks)]
            store.add_rollouts([answered(store, ask) for ask in done])
            planner.store_done(done)
            if restart:
                planner = RoundPlanner(store, preset, 12)
    raise AssertionError("the study did not end")


@pytest.mark.parametrize("restart", [False, True])
def test_rounds_do_not_depend_on_when_rollouts_are_stored(tmp_path: Path, restart: bool) -> None:
    preset = small_preset(problems=12, refine=True, max_rollouts=260)

    def run(name: str, store_when: Callable[[int, list[PlannedAsk]], int]) -> list[Plan]:
        (tmp_path / name).mkdir()
        return planned(tmp_path / name, preset, store_when, restart)

    def oldest_round(_: int, asks: list[PlannedAsk]) -> int:
        return sum(ask.round == asks[0].round for ask in asks) if asks else 0

    expected = run("one round at a time", oldest_round)
    assert len(expected) > 8
    assert run("all that is open", lambda _, asks: len(asks)) == expected
    assert run("a few", lambda _, asks: 5) == expected
    random = np.random.default_rng(0)
    for number in range(3):
        drawn = run(f"any number {number}", lambda _, asks: int(random.integers(0, len(asks) + 1)))
        assert drawn == expected
