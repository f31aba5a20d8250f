"""The planner of memory: one plan for both engines, by the rules that they go by.

Told from headers and configs, before anything is downloaded or started. The engines take their
sizes from it; preflight, commands, app and server show it.
"""

from dataclasses import replace
from typing import Any, Literal

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.memory.plan import NOMINAL_CAP, MemoryPlan
from mi_tui.engines.memory.with_transformers import with_transformers
from mi_tui.engines.memory.with_vllm import with_vllm
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.vllm.layout import SHARE
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.text.sizes import in_bytes


def plan_memory(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    machine: Machine,
    *,
    cap: int | None = None,
    in_place: str = "",
) -> MemoryPlan:
    """Plan the memory of a pair, by the rules that the engines themselves go by.

    Args:
        plan: the engine section of a preset; the kind ``auto`` is taken for transformers.
        instruct: one side, of which the headers suffice.
        thinking: the other.
        machine: what is free.
        cap: tokens of the longest response; ``None``: no more than :data:`NOMINAL_CAP` are
            planned for, and none is refused.
        in_place: why the pair cannot be run in one pass, where that is known.
    """
    of_engine = with_vllm if plan.kind == "vllm" else with_transformers
    name: Literal["transformers", "vllm"] = "vllm" if plan.kind == "vllm" else "transformers"
    try:
        found = of_engine(plan, instruct, thinking, machine, cap or 0, in_place)
    except EngineError as error:
        return MemoryPlan(name, gpus=len(machine.gpus), problem=str(error), words=str(error))
    found = replace(found, cap=cap or NOMINAL_CAP, most_rows=plan.batch or found.most_rows)
    if cap and not found.problem and found.response is not None and found.longest < cap:
        found = replace(found, problem=_too_long(found))
    return replace(found, words=found.problem or found.words)


def settled(plan: EnginePlan, memory: MemoryPlan) -> EnginePlan:
    """The section of the engine with what the plan of memory decided for vLLM."""
    if memory.engine != "vllm":
        return plan
    options = plan.vllm
    sizes: dict[str, Any] = {
        "tensor_parallel_size": memory.tensor,
        "data_parallel_size": memory.copies,
    }
    if options.gpu_memory_utilization is None and memory.share and memory.share < SHARE:
        sizes["gpu_memory_utilization"] = memory.share
    mode = plan.mode if memory.one_pass else "in-place"
    return plan.model_copy(update={"mode": mode, "vllm": options.model_copy(update=sizes)})


def _too_long(found: MemoryPlan) -> str:
    """Why the cap cannot be had, and what can."""
    device = "each GPU" if found.gpus_each > 1 else "the GPU" if found.gpus_each else "main memory"
    needs = f"{in_bytes(found.row)} of KV cache"
    has = f"{in_bytes(found.cache)} are left for it on {device}"
    advice = f"set the cap to {found.longest:,} at most" if found.longest else "take a smaller pair"
    if found.engine == "vllm" and found.gpus_each:
        advice += ", or kv_cache_dtype to fp8"
    return f"does not fit: a response of {found.cap:,} tokens takes {needs}, and {has}: {advice}"
