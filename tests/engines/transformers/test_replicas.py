"""Several engine processes answer as one does, and the death of one is told in one line."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, EngineError, Request
from mi_tui.engines.transformers.devices.replica_plans import plans_for
from mi_tui.engines.transformers.replicas import Replicas
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import engine_for, prompts, run

PLAN = EnginePlan(device="cpu", dtype="float32", batch=4, threads=1, processes=2)
GIB = 1 << 30


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def two(pair: tuple[Path, ...]) -> Iterator[Replicas]:
    engine = open_engine(PLAN, Pair(instruct=str(pair[0]), thinking=str(pair[1])))
    assert isinstance(engine, Replicas)
    yield engine
    engine.close()


def requests(recipes: int = 4, each: int = 6, most: int = 16) -> list[Request]:
    warm = Decoding(temperature=1.0, top_p=0.95)
    return [
        Request(100 * at + n, Recipe(lambda_=at / 4, decoding=warm), prompt, n, most + 5 * (n % 3))
        for at in range(recipes)
        for n, prompt in enumerate(prompts(each))
    ]


def test_two_processes_answer_as_one(two: Replicas, pair: tuple[Path, ...]) -> None:
    wanted = requests()
    together = run(two, wanted)
    alone = run(engine_for(pair, "auto", batch=4), wanted)
    assert {n: (c.tokens, c.text, c.finish_reason) for n, c in together.items()} == {
        n: (c.tokens, c.text, c.finish_reason) for n, c in alone.items()
    }


def test_both_work_and_report_as_one(two: Replicas) -> None:
    able = two.capabilities
    assert able.batch_size == 8
    assert able.mixes_recipes
    assert able.device.startswith("2 × cpu")
    assert two.self_check().passed
    assert [point.concurrency for point in two.calibrate((1, 2))] == [1, 2]
    assert two.cost_model().switch > 0
    two.add(requests())
    assert all(member.given for member in two._members)
    two.cancel(range(1000))
    assert two.pending == 0
    assert two.step(0.1) == []


def test_what_is_cancelled_does_not_come_back(two: Replicas) -> None:
    wanted = requests(most=30)
    two.add(wanted)
    done: list[Completion] = two.step(0.0)
    gone = {request.id for request in wanted[::2]} - {c.request_id for c in done}
    two.cancel(gone)
    while two.pending:
        done += two.step(0.5)
    assert {c.request_id for c in done} == {request.id for request in wanted} - gone


def test_a_refused_request_leaves_nothing_queued(two: Replicas) -> None:
    baseline = Recipe(method="task-arithmetic", scale=0.7)
    with pytest.raises(EngineError, match="base"):
        two.add([*requests(1, 2), Request(9, baseline, (5,), 0, 4)])
    assert two.pending == 0


@pytest.mark.slow
def test_a_process_that_dies_is_one_line(pair: tuple[Path, ...]) -> None:
    engine = open_engine(PLAN, Pair(instruct=str(pair[0]), thinking=str(pair[1])))
    assert isinstance(engine, Replicas)
    try:
        engine.add(requests(most=200))
        victim = engine._members[1].process
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"engine process 1 \(cpu\) ended \(signal 9\)"):
            engine.step(60.0)
    finally:
        engine.close()
    assert all(not member.process.is_alive() for member in engine._members)


@pytest.mark.slow
def test_a_pair_that_cannot_be_loaded_is_the_processes_own_line(tmp_path: Path) -> None:
    pair = tiny_pair("qwen3", tmp_path / "one")
    other = tiny_pair("llama", tmp_path / "other")
    with pytest.raises(EngineError) as caught:
        open_engine(PLAN, Pair(instruct=str(pair[0]), thinking=str(other[1])))
    assert "\n" not in str(caught.value)
    assert "ended" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "free", "devices"),
    [
        ({}, [], ["auto"]),
        ({"processes": 3, "device": "cpu"}, [], ["cpu"] * 3),
        ({}, [80, 80], ["cuda:0", "cuda:1"]),
        ({}, [80, 10, 80], ["cuda:0", "cuda:2"]),
        ({}, [10, 10, 10], ["auto"]),
        ({"processes": 1}, [80, 80], ["auto"]),
        ({"processes": 4}, [80, 80], ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]),
        ({"device": "cuda:1"}, [80, 80], ["cuda:1"]),
    ],
)
def test_one_process_for_each_gpu_that_is_large_enough(
    given: dict[str, object], free: list[int], devices: list[str]
) -> None:
    plan = EnginePlan.model_validate(given)
    found = plans_for(plan, [gib * GIB for gib in free], 16 * GIB)
    assert [one.device for one in found] == devices
    shared_cpu = len(found) > 1 and not free
    assert {one.threads for one in found} <= ({1} if shared_cpu else {None, 1})
