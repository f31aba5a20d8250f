"""What the preflight says will run is what the engine does, on machines of every kind."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.quantisation.formats.fp8 import ScaleGrid
from mi_tui.checkpoints.quantisation.tensors import quantised_tensor
from mi_tui.engines.memory.planner import plan_memory
from mi_tui.engines.memory.with_transformers import room_of
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.devices.pair_size import Dtype, pair_size
from mi_tui.engines.transformers.devices.placement import Placement, Room, place_pair
from mi_tui.engines.transformers.devices.replica_plans import decide
from mi_tui.engines.transformers.model import pair_tensors
from mi_tui.engines.transformers.model.pair_tensors import PairTensors, TensorPair
from mi_tui.engines.transformers.weights import one_pass
from mi_tui.machine.resources import Machine, usable
from mi_tui.plan.engine import EnginePlan, VllmOptions
from mi_tui.plan.pair import Pair
from mi_tui.study.preflight import fit_findings
from tests.checkpoints.families import tiny_pair
from tests.engines.memory.machines import (
    A100S,
    GB10,
    H100,
    QWEN_4B,
    QWEN_30B_A3B,
    RTX_4090,
    machine,
    side,
)
from tests.engines.support import engine_for

GIB = 1 << 30
CPU = torch.device("cpu")


def settled(plan: EnginePlan, model: CheckpointInfo, what: Machine) -> list[Placement]:
    """What each engine process does once it has read the pair, as ``PairTensors.settle`` asks."""
    dtype: Dtype = "float32" if not what.gpus and plan.dtype == "auto" else "bfloat16"
    size = pair_size(model, model, dtype)
    room = room_of(what)
    plans = decide(plan, model, model, room).plans
    left = Room(room.gpus, room.host - len(plans) * size.copied, room.unified)
    found = []
    for one in plans:
        device = one.device if one.device != "auto" else "cuda" if room.gpus else "cpu"
        wanted = one.mode != "in-place"
        found.append(place_pair(size.model, device, left, one_pass=wanted))
    return found


@pytest.mark.parametrize(
    ("what", "model", "processes", "says"),
    [
        (H100, QWEN_4B, 1, "one pass with both sides in memory (needs 30 GiB of 55.4 GiB on"),
        (A100S, QWEN_4B, 4, "in place, both sides on the GPU (needs 22.5 GiB of 27.6 GiB"),
        (RTX_4090, QWEN_4B, 1, "in place, both sides in main memory (needs 7.49 GiB of 21.1"),
        (machine(23.5, host=20), QWEN_4B, 1, "in place, both sides mapped from disk"),
        (H100, QWEN_30B_A3B, 1, "in place, both sides in main memory"),
        (machine(79.1, host=200), QWEN_30B_A3B, 1, "in place, both sides mapped from disk"),
        (A100S, QWEN_30B_A3B, 1, "in place, layers split over 4 GPUs, both sides in main memory"),
        (machine(10, 79.1), QWEN_30B_A3B, 1, "in place, both sides in main memory"),
        (GB10, QWEN_4B, 1, "one pass with both sides in memory"),
        (machine(119, host=119, unified=True), side(dense=14), 1, "in place, both sides on"),
        (machine(60, host=60, unified=True), side(dense=14), 1, "in place, both sides mapped"),
    ],
)
def test_preflight_and_placement_agree(
    what: Machine, model: CheckpointInfo, processes: int, says: str
) -> None:
    placements = settled(EnginePlan(), model, what)
    assert len(placements) == processes
    assert len({one.words for one in placements}) == 1
    found = plan_memory(EnginePlan(), model, model, what)
    each = f"{processes} replicas, each: " if processes > 1 else ""
    assert found.words == each + placements[0].words
    assert says in found.words
    assert found.fits
    assert found.as_asked == placements[0].one_pass
    finding = fit_findings(model, model, machine=what)[0]
    assert finding.message.startswith(found.words)
    assert finding.level == ("ok" if found.as_asked else "warning")


@pytest.mark.parametrize(
    ("plan", "host", "says"),
    [
        ({}, 128, "one pass on the CPU (needs 30 GiB of 68.6 GiB beside the pair)"),
        ({"dtype": "bfloat16"}, 32, "one pass on the CPU (needs 15 GiB of 22.4 GiB"),
        ({"dtype": "bfloat16"}, 16, "in place on the CPU (needs 7.49 GiB of 14.4 GiB"),
        ({"dtype": "bfloat16", "mode": "in-place"}, 64, "in place on the CPU (needs 7.49"),
    ],
)
def test_on_a_cpu_what_is_converted_takes_memory(
    plan: dict[str, object], host: int, says: str
) -> None:
    engine = EnginePlan.model_validate(plan)
    found = plan_memory(engine, QWEN_4B, QWEN_4B, machine(host=host))
    assert found.words.startswith(says)
    assert found.words == settled(engine, QWEN_4B, machine(host=host))[0].words


@pytest.mark.parametrize(
    ("plan", "model", "what", "says"),
    [
        ({}, QWEN_30B_A3B, RTX_4090, "reading both sides takes 108 GiB of main memory"),
        ({}, QWEN_30B_A3B, machine(23.5), "one model takes 56.9 GiB"),
        ({}, QWEN_30B_A3B, machine(23.5, 23.5), "on 2 GPUs together"),
        ({}, QWEN_4B, machine(host=16), "reading both sides takes 30 GiB of main memory"),
        ({"dtype": "bfloat16"}, QWEN_4B, machine(host=8), "one model takes 7.49 GiB"),
        ({"dtype": "bfloat16"}, QWEN_30B_A3B, machine(host=128), "in main memory beside the pair"),
        ({"processes": 8}, QWEN_4B, machine(host=128), "in each of 8 processes"),
        ({"device": "cuda:1"}, QWEN_4B, H100, "'cuda:1' cannot be used here"),
        ({"device": "cuda"}, QWEN_4B, machine(), "'cuda' cannot be used here"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_read(
    plan: dict[str, object], model: CheckpointInfo, what: Machine, says: str
) -> None:
    engine = EnginePlan.model_validate(plan)
    found = plan_memory(engine, model, model, what)
    assert not found.fits
    assert says in found.words
    assert "\n" not in found.words
    with pytest.raises(EngineError):
        decide(engine, model, model, room_of(what))
    assert fit_findings(model, model, engine, what)[0].level == "warning"


@pytest.mark.parametrize("what", [H100, A100S, machine(139, host=900)])
def test_experts_that_run_in_place_leave_no_room_taken_for_one_pass(what: Machine) -> None:
    (found,) = settled(EnginePlan(), QWEN_30B_A3B, what)
    assert (found.one_pass, found.pair_tensors) == (False, False)


def test_a_tied_head_that_is_stored_counts_once() -> None:
    embedding = TensorInfo("model.embed_tokens.weight", "F32", (1000,), Path("x"), 0, 4000)
    head = replace(embedding, name="lm_head.weight")
    tensors = {tensor.name: tensor for tensor in (embedding, head)}
    for tied, count in ((True, 1000), (False, 2000)):
        one = replace(QWEN_4B, tensors=tensors, config={"tie_word_embeddings": tied})
        size = pair_size(one, one, "bfloat16")
        assert (size.model, size.copied) == (2 * count, 4 * count)
        assert pair_size(one, one, "float32").copied == 0


def test_several_processes_share_what_there_is() -> None:
    found = decide(EnginePlan(processes=2), QWEN_4B, QWEN_4B, room_of(machine(79.1)))
    assert len(found.plans) == 2
    assert not found.placement.one_pass


@pytest.mark.parametrize(
    ("plan", "what", "says"),
    [
        ({}, H100, "vLLM, all recipes in one pass (needs 15 GiB of 72.8 GiB on the GPU"),
        ({"mode": "in-place"}, H100, "vLLM, λ in place (needs 7.49 GiB of 72.8 GiB on the GPU"),
        ({"vllm": VllmOptions(tensor_parallel_size=4)}, A100S, "(needs 3.74 GiB of 36.2 GiB on"),
        ({"vllm": VllmOptions(tensor_parallel_size=8)}, A100S, "does not fit: vLLM is to run on 8"),
        ({}, machine(12), "vLLM, λ in place (needs 7.49 GiB of 11 GiB on the GPU"),
        ({"mode": "one-pass"}, machine(12), "does not fit: vLLM, all recipes in one pass"),
        ({}, machine(host=100), "needs 30 GiB of 100 GiB of main memory"),
    ],
)
def test_vllm_needs_both_sides_on_its_gpus(
    plan: dict[str, object], what: Machine, says: str
) -> None:
    engine = EnginePlan.model_validate({"kind": "vllm", **plan})
    assert says in plan_memory(engine, QWEN_4B, QWEN_4B, what).words


@pytest.mark.parametrize(
    "quantised",
    [replace(QWEN_4B, dequantised="mxfp4"), replace(QWEN_4B, left_over_quantisation="fp8")],
    ids=["dequantised", "left over"],
)
def test_vllm_is_refused_where_it_would_quantise(quantised: CheckpointInfo) -> None:
    found = plan_memory(EnginePlan(kind="vllm"), QWEN_4B, quantised, H100)
    assert not found.fits
    assert "take the engine transformers" in found.words


def test_what_is_dequantised_takes_memory() -> None:
    grid = ScaleGrid(1, 1, (1, 1), (1, 1), shared=True)
    tensors = {
        name: quantised_tensor(name, tensor.shape, tensor, tensor, grid)
        for name, tensor in QWEN_4B.tensors.items()
    }
    quantised = replace(QWEN_4B, tensors=tensors)
    assert pair_size(QWEN_4B, QWEN_4B, "bfloat16").copied == 0
    size = pair_size(QWEN_4B, quantised, "bfloat16")
    assert size.copied == size.model


def test_a_torch_for_cpus_uses_no_gpu() -> None:
    for version in (None, "2.9.0", "2.9.0+cu130"):
        assert usable(H100, version) is H100
    seen = usable(H100, "2.9.0+cpu")
    assert not seen.gpus
    finding = fit_findings(QWEN_4B, QWEN_4B, machine=seen)[0]
    assert finding.level == "warning"
    assert finding.message.startswith("one pass on the CPU")
    assert "1 × card, 79.1 GiB free, not used by torch 2.9.0+cpu" in finding.message
    bare = machine()
    assert usable(bare, "2.9.0+cpu") is bare


def test_the_engine_says_what_the_preflight_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real pair, on a machine that is large enough, just so, and too small."""
    pair = tiny_pair("qwen3", tmp_path)
    files = Pair(instruct=str(pair[0]), thinking=str(pair[1]))
    one = PairTensors.load(files, dtype=torch.float32, device=CPU).bytes
    for free in (4 * one, 2 * one):
        monkeypatch.setattr(memory, "room_beside", lambda _, free=free: Room((), free))
        monkeypatch.setattr(
            "mi_tui.engines.transformers.model.pair_tensors.room_beside",
            lambda _, free=free: Room((), free),
        )
        what = Machine((), free, free)
        plan = EnginePlan(device="cpu", dtype="float32")
        found = plan_memory(plan, info(pair[0]), info(pair[1]), what)
        able = engine_for(pair, "auto").capabilities
        assert able.note.startswith(found.words)
        assert able.mixes_recipes == found.as_asked
    monkeypatch.setattr(memory, "room_beside", lambda _: Room((), one // 2))
    with pytest.raises(EngineError, match="does not fit"):
        engine_for(pair, "auto")


def test_the_engine_leaves_the_room_that_the_plan_leaves_for_long_responses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real pair and room for one pass; the longer the cap, the less lies beside the cache."""
    pair = tiny_pair("qwen3", tmp_path)
    files = Pair(instruct=str(pair[0]), thinking=str(pair[1]))
    one = PairTensors.load(files, dtype=torch.float32, device=CPU).bytes
    free = 200 * one
    for at in (memory, pair_tensors):
        monkeypatch.setattr(at, "room_beside", lambda _: Room((), free))
    what = Machine((), free, free)
    plan = EnginePlan(device="cpu", dtype="float32", threads=1, batch=4)
    sides = info(pair[0]), info(pair[1])
    most = plan_memory(plan, *sides, what).longest  # in one pass
    more = plan_memory(plan, *sides, what, cap=most + 200)
    assert (more.fits, more.one_pass) == (True, False)
    for cap, mixes in ((most, True), (most + 200, False)):
        found = plan_memory(plan, *sides, what, cap=cap)
        able = open_engine(plan, files, cap).capabilities
        assert (found.one_pass, able.mixes_recipes) == (mixes, mixes)
        assert able.note.startswith(found.words)
    assert not plan_memory(plan, *sides, what, cap=2 * most).fits


def info(path: Path) -> CheckpointInfo:
    return inspect(locate(str(path)))


def test_nothing_is_computed_for_one_pass_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: object) -> None:
        raise AssertionError("Δ was computed")

    pair = tiny_pair("qwen3", tmp_path)
    monkeypatch.setattr(TensorPair, "delta", forbidden)
    with pytest.raises(AssertionError):
        engine_for(pair, "auto")
    real = one_pass.OnePassWeights._maker

    def unknown_norm(self: object, name: str, *rest: object) -> object:
        if name == "model.norm":
            raise one_pass.CannotMixError(f"{name} cannot be mixed")
        return real(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(one_pass.OnePassWeights, "_maker", unknown_norm)
    assert "model.norm cannot be mixed" in engine_for(pair, "auto").capabilities.note


def test_the_preflight_needs_no_torch() -> None:
    code = (
        "import sys, mi_tui.study.preflight, mi_tui.engines.memory.planner\n"
        "assert not {'torch', 'transformers', 'accelerate', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
