"""Static batches: a response does not depend on what it was generated beside."""

from pathlib import Path

import pytest

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Request
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from tests.engines.support import engine_for, run
from tests.families.configs import CONFIGS
from tests.families.pair import build_pair

DECODING = Decoding(temperature=1.0, top_p=0.9, top_k=20)
LENGTHS = (3, 17, 17, 30)


def requests(lambdas: tuple[float, ...], cap: int = 12) -> list[Request]:
    return [
        Request(
            id=10 * at + row,
            recipe=Recipe(lambda_=lambda_, decoding=DECODING),
            prompt=tuple(range(5 + row, 5 + row + length)),
            seed=100 * at + row,
            max_new_tokens=cap - row,
        )
        for at, lambda_ in enumerate(lambdas)
        for row, length in enumerate(LENGTHS)
    ]


@pytest.mark.parametrize("family", ["lfm2", "zamba2"])
def test_neighbours_change_nothing(family: str, tmp_path: Path) -> None:
    """Sampled, of several lengths and λ, with caps that end them one after the other."""
    pair = build_pair(CONFIGS[family](), tmp_path)
    together = run(engine_for(pair, batch=3), requests((0.2, 0.7)))
    alone = run(engine_for(pair, batch=1), requests((0.2, 0.7)))
    assert {at: done.tokens for at, done in together.items()} == {
        at: done.tokens for at, done in alone.items()
    }
    assert len({done.tokens for done in together.values()}) > 4


def test_a_cancelled_request_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    pair = build_pair(CONFIGS["lfm2"](), tmp_path)
    expected = run(engine_for(pair, batch=4), requests((0.5,)))
    engine = engine_for(pair, batch=4)
    engine.add(requests((0.5,)))
    engine.step(0.0)
    engine.cancel([1])
    done: dict[int, tuple[int, ...]] = {}
    while engine.pending:
        done |= {one.request_id: one.tokens for one in engine.step(0.2)}
    assert done == {at: one.tokens for at, one in expected.items() if at != 1}


@pytest.mark.parametrize("family", ["mamba2", "lfm2"])
def test_speed_and_batch_size_are_measured_as_for_any_model(family: str, tmp_path: Path) -> None:
    instruct, thinking = map(str, build_pair(CONFIGS[family](), tmp_path))
    plan = EnginePlan(device="cpu", dtype="float32", threads=1)
    engine = open_engine(plan, Pair(instruct=instruct, thinking=thinking))
    assert engine.capabilities.batch_size > 1
    assert "requests start together" in engine.capabilities.note
    points = engine.calibrate((1, 2))
    assert {point.concurrency for point in points} == {1, 2}
    assert all(point.time_per_output_token > 0 for point in points)
