"""The plan of memory on the machines that people have, for the pairs of the paper.

Machines and checkpoints are made up: sizes as vendors and model cards give them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.cache_size import CacheSize
from mi_tui.engines.memory.plan import NOMINAL_CAP, PROMPT_TOKENS, MemoryPlan
from mi_tui.engines.memory.planner import plan_memory, settled
from mi_tui.engines.vllm.arguments import engine_arguments
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan, VllmOptions
from tests.engines.memory import table
from tests.engines.memory.machines import (
    A100S,
    H100,
    H200,
    QWEN_4B,
    QWEN_30B_A3B,
    RTX_4090,
    machine,
    side,
)

GIB = 1 << 30
AIME = 81_920


def planned(
    kind: str, model: CheckpointInfo, what: Machine, cap: int | None = AIME, **own: Any
) -> MemoryPlan:
    engine = EnginePlan.model_validate({"kind": kind, **own})
    return plan_memory(engine, model, model, what, cap=cap)


@pytest.mark.parametrize(
    ("kind", "what", "model", "one_pass", "copies", "each", "rows"),
    [
        ("transformers", H100, QWEN_4B, True, 1, 1, 3),
        ("vllm", H100, QWEN_4B, True, 1, 1, 4),
        ("transformers", H100, QWEN_30B_A3B, False, 1, 1, 2),
        ("vllm", H100, QWEN_30B_A3B, False, 1, 1, 1),
        ("transformers", A100S, QWEN_4B, False, 4, 1, 4),
        ("vllm", A100S, QWEN_4B, True, 4, 1, 4),
        ("transformers", A100S, QWEN_30B_A3B, False, 1, 4, 12),
        ("vllm", A100S, QWEN_30B_A3B, False, 1, 4, 10),
        ("transformers", RTX_4090, QWEN_4B, False, 1, 1, 1),
        ("vllm", RTX_4090, QWEN_4B, False, 1, 1, 1),
        ("transformers", H200, QWEN_4B, True, 1, 1, 8),
        ("vllm", H200, QWEN_4B, True, 1, 1, 9),
        ("transformers", H200, QWEN_30B_A3B, False, 1, 1, 9),
        ("vllm", H200, QWEN_30B_A3B, False, 1, 1, 9),
        ("transformers", machine(), QWEN_4B, True, 1, 0, 13),
    ],
)
def test_how_a_pair_runs_and_how_many_long_responses_at_once(
    kind: str, what: Machine, model: CheckpointInfo, one_pass: bool, copies: int, each: int,
    rows: int,
) -> None:  # fmt: skip
    found = planned(kind, model, what)
    assert found.fits
    assert (found.one_pass, found.copies, found.gpus_each) == (one_pass, copies, each)
    assert found.rows(AIME) == rows
    assert not found.idle
    assert f"{rows} response" in found.concurrency
    assert found.response is not None
    assert found.row == found.response.row(AIME + PROMPT_TOKENS)


@pytest.mark.parametrize("kind", ["transformers", "vllm"])
def test_a_mixture_of_experts_never_has_both_sides_loaded_for_one_pass(kind: str) -> None:
    for what in (H100, A100S, H200, machine(*[79.1] * 8)):
        found = planned(kind, QWEN_30B_A3B, what)
        assert found.fits
        assert not found.one_pass
        assert (found.sides, found.delta) == (0, 0)
    in_vllm = planned("vllm", QWEN_30B_A3B, H100)
    assert in_vllm.reason == "its experts cannot be mixed request by request"
    assert settled(EnginePlan(kind="vllm"), in_vllm).mode == "in-place"


@pytest.mark.parametrize(
    ("kind", "what", "model", "cap", "says"),
    [
        ("vllm", RTX_4090, QWEN_30B_A3B, 4096, "needs 56.9 GiB on the GPU beside its KV cache"),
        ("vllm", RTX_4090, QWEN_4B, 100_000, "set the cap to 87,824 at most, or kv_cache_dtype"),
        ("transformers", RTX_4090, QWEN_4B, 120_000, "set the cap to 104,416 at most"),
        ("transformers", H100, QWEN_4B, 1_000_000, "takes 137 GiB of KV cache"),
        ("transformers", machine(host=16), QWEN_4B, AIME, "does not fit"),
    ],
)
def test_a_cap_that_cannot_fit_is_refused_with_the_largest_that_does(
    kind: str, what: Machine, model: CheckpointInfo, cap: int, says: str
) -> None:
    found = planned(kind, model, what, cap, dtype="bfloat16")
    assert not found.fits
    assert says in found.problem
    assert found.words == found.problem
    assert "\n" not in found.problem
    if found.longest:
        again = planned(kind, model, what, found.longest, dtype="bfloat16")
        assert again.fits
        assert again.rows(found.longest) >= 1


def test_what_lies_beside_the_model_makes_room_for_a_long_response() -> None:
    """Three responses of an 80 GB card need less there than both sides take."""
    usual = planned("transformers", QWEN_4B, H100)
    longer = planned("transformers", QWEN_4B, H100, 400_000)
    assert (usual.one_pass, usual.sides > 0) == (True, True)
    assert longer.fits
    assert (longer.one_pass, longer.sides) == (False, 0)
    assert "one pass leaves no room for the longest response" in longer.words


def test_fp8_halves_the_cache() -> None:
    whole = planned("vllm", QWEN_4B, RTX_4090)
    half = planned("vllm", QWEN_4B, RTX_4090, vllm=VllmOptions(kv_cache_dtype="fp8"))
    assert half.row * 2 == whole.row
    assert half.rows(AIME) == 2 * whole.rows(AIME)


@pytest.mark.parametrize(
    ("own", "what", "model", "idle"),
    [
        ({}, machine(*[39.4] * 3), QWEN_30B_A3B, "1 of 3 GPUs left idle: the model's heads"),
        (
            {"vllm": VllmOptions(tensor_parallel_size=1, data_parallel_size=1)},
            A100S,
            QWEN_4B,
            "3 of 4 GPUs left idle: tensor_parallel_size × data_parallel_size is as asked",
        ),
        ({"vllm": VllmOptions(tensor_parallel_size=2)}, A100S, QWEN_4B, ""),
        ({"vllm": VllmOptions(data_parallel_size=2)}, A100S, QWEN_4B, "2 of 4 GPUs left idle"),
        ({"kind": "transformers"}, machine(10, 79.1), QWEN_30B_A3B, "1 of 2 GPUs left idle: too"),
        ({"kind": "transformers", "device": "cuda:2"}, A100S, QWEN_4B, "device cuda:2 was asked"),
        ({"kind": "transformers", "processes": 2}, A100S, QWEN_4B, "as many processes as asked"),
        ({"kind": "transformers"}, A100S, QWEN_4B, ""),
        (
            {"kind": "transformers"},
            machine(*[79.1] * 8),
            QWEN_30B_A3B,
            "5 of 8 GPUs left idle: main memory holds both sides no more than 3 times",
        ),
        ({"kind": "transformers", "device": "cpu"}, A100S, QWEN_4B, "device cpu was asked for"),
    ],
)
def test_no_gpu_is_left_idle_without_a_word(
    own: dict[str, Any], what: Machine, model: CheckpointInfo, idle: str
) -> None:
    found = planned(own.pop("kind", "vllm"), model, what, NOMINAL_CAP, dtype="bfloat16", **own)
    assert found.fits
    assert idle in found.idle
    assert bool(idle) == bool(found.idle)
    assert found.idle in found.sentence


def test_the_sizes_reach_vllm() -> None:
    for model, what, tensor, data in (
        (QWEN_4B, A100S, 1, 4),
        (QWEN_30B_A3B, A100S, 4, 1),
        (QWEN_4B, machine(host=100), 1, 1),
    ):
        plan = EnginePlan(kind="vllm")
        made = settled(plan, plan_memory(plan, model, model, what, cap=AIME)).vllm
        assert (made.tensor_parallel_size, made.data_parallel_size) == (tensor, data)
    asked = VllmOptions(tensor_parallel_size=2, data_parallel_size=1)
    plan = EnginePlan(kind="vllm", vllm=asked)
    assert settled(plan, plan_memory(plan, QWEN_4B, QWEN_4B, A100S)).vllm == asked
    transformers = EnginePlan(kind="transformers")
    found = plan_memory(transformers, QWEN_4B, QWEN_4B, A100S)
    assert settled(transformers, found) is transformers


def test_vllm_takes_no_more_than_is_free_when_it_starts() -> None:
    """It refuses to start where less is free than the share that it is to take."""
    (gpu,) = H100.gpus
    busy = replace(H100, gpus=(replace(gpu, free=60 * GIB),))
    plan = EnginePlan(kind="vllm")
    made = settled(plan, plan_memory(plan, QWEN_4B, QWEN_4B, busy))
    assert made.vllm.gpu_memory_utilization == 0.75
    arguments = engine_arguments(made, QWEN_4B.location.path, None, on_cpu=False,
                                 trust_remote_code=False)  # fmt: skip
    assert arguments["gpu_memory_utilization"] * gpu.total <= 60 * GIB
    assert settled(plan, plan_memory(plan, QWEN_4B, QWEN_4B, H100)).vllm.gpu_memory_utilization is (
        None
    )


def test_a_cluster_is_as_asked() -> None:
    ray = VllmOptions(executor="ray", tensor_parallel_size=8)
    found = planned("vllm", QWEN_30B_A3B, machine(), vllm=ray)
    assert found.fits
    assert (found.tensor, found.rows(AIME), found.longest) == (8, 0, 0)


def test_a_config_that_tells_no_layers_is_not_refused() -> None:
    bare = replace(QWEN_4B, config={})
    for kind in ("transformers", "vllm"):
        found = planned(kind, bare, H100)
        assert found.fits
        assert (found.rows(AIME), found.longest, found.concurrency) == (0, 0, "")


def test_the_documented_table_is_what_the_plan_says() -> None:
    document = Path(__file__).parents[3] / "docs" / "engines.md"
    assert "\n".join(table.lines()) in document.read_text(encoding="utf-8")


GPUS = st.lists(st.floats(4, 140), max_size=8)
MODELS = st.builds(
    lambda dense, experts, layers, heads, groups: replace(
        side(dense=dense, **({"experts": experts} if experts else {})),
        config={
            "num_hidden_layers": layers,
            "num_attention_heads": heads * groups,
            "num_key_value_heads": groups,
            "head_dim": 128,
        },
    ),
    st.floats(0.1, 40),
    st.sampled_from([0, 0, 20.0]),
    st.integers(1, 80),
    st.integers(1, 8),
    st.integers(1, 16),
)
ENGINES = st.builds(
    EnginePlan,
    kind=st.sampled_from(["transformers", "vllm"]),
    mode=st.sampled_from(["auto", "in-place", "one-pass"]),
    dtype=st.sampled_from(["auto", "bfloat16", "float32"]),
    vllm=st.builds(
        VllmOptions,
        tensor_parallel_size=st.sampled_from([None, None, 1, 2]),
        pipeline_parallel_size=st.sampled_from([1, 1, 2]),
        data_parallel_size=st.sampled_from([None, None, 1, 3]),
        gpu_memory_utilization=st.sampled_from([None, 0.5, 1.0]),
        kv_cache_dtype=st.sampled_from(["auto", "fp8"]),
    ),
)


@settings(max_examples=300)
@given(ENGINES, MODELS, GPUS, st.floats(8, 900), st.sampled_from([None, 100, 8_192, 81_920]))
def test_a_plan_never_promises_more_than_there_is(
    engine: EnginePlan, model: CheckpointInfo, gpus: list[float], host: float, cap: int | None
) -> None:
    what = machine(*gpus, host=host)
    found = plan_memory(engine, model, model, what, cap=cap)
    assert found.as_json()["fits"] is found.fits
    if not found.fits:
        assert "\n" not in found.problem
        return
    taken = found.weights + found.sides + found.delta + found.other + found.cache
    assert taken <= found.room
    assert min(found.weights, found.sides, found.delta, found.other, found.cache) >= 0
    devices = found.copies * found.gpus_each
    if devices:
        assert devices <= max(len(gpus), found.copies)
        at_least = sorted((gpu.free for gpu in what.gpus), reverse=True)[: max(1, devices)]
        assert found.room <= at_least[0]
        if found.engine == "vllm":
            assert found.room <= min(gpu.free for gpu in what.gpus[:devices])
    else:
        assert found.copies * found.room <= what.memory_free
    assert isinstance(found.response, CacheSize)
    assert found.rows(found.cap) * found.row <= found.copies * found.cache
    if cap:
        assert found.rows(cap) >= 1
        assert found.longest >= cap
    if devices and devices < len(gpus):
        assert found.idle
