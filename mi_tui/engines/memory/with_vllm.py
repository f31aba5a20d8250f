"""The memory of a pair in vLLM."""

from collections.abc import Mapping
from typing import Any

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.memory.plan import NOMINAL_CAP, PROMPT_TOKENS, MemoryPlan, idle_words
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.pair_size import ITEM_BYTES, Dtype, pair_size
from mi_tui.engines.vllm.arguments import require_plain
from mi_tui.engines.vllm.layout import Layout, layout_on_cpu, layouts
from mi_tui.engines.vllm.mixable import unmixable
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.text.sizes import in_bytes

_MOST_ROWS = 256
"""What vLLM runs at once by itself (``max_num_seqs``; on some GPUs it takes more)."""

_FEWER = 4
"""One pass reads twice the weights and spares a start and an end for each recipe: with less than a
quarter of the responses at once it is slower."""


def with_vllm(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    machine: Machine,
    cap: int,
    in_place: str,
) -> MemoryPlan:
    """As :func:`mi_tui.engines.memory.planner.plan_memory`, for this engine; ``cap`` 0: none.

    Raises:
        EngineError: the pair cannot run on vLLM, or there are too few GPUs for what is asked.
    """
    require_plain(instruct, thinking)
    own: Dtype = "bfloat16" if machine.gpus else "float32"
    dtype = own if plan.dtype == "auto" else plan.dtype
    model = pair_size(instruct, thinking, dtype).model
    item = 1 if plan.vllm.kv_cache_dtype == "fp8" else ITEM_BYTES[dtype]
    part = unmixable(instruct, thinking)
    part = in_place or (part and f"{part} cannot be mixed request by request")
    modes = {"in-place": (False,), "one-pass": (True,), "auto": (True, False)}[plan.mode]
    modes = (False,) if part else modes
    config = thinking.text_config
    if plan.vllm.executor == "ray":
        return _on_ray(plan, model, modes[0], part, len(machine.gpus))
    if machine.gpus:
        found = _best(plan, modes, model, config, item, machine, cap)
    else:
        found = layout_on_cpu(plan.vllm, modes[0], model, config, item, machine.memory_free)
        if found.weights + found.delta >= found.room and len(modes) > 1:
            found = layout_on_cpu(plan.vllm, False, model, config, item, machine.memory_free)
    return _from_layout(plan, found, part, machine)


def _best(
    plan: EnginePlan,
    modes: tuple[bool, ...],
    model: int,
    config: Mapping[str, Any],
    item: float,
    machine: Machine,
    cap: int,
) -> Layout:
    """The layout to be preferred among those in which the longest response fits.

    Copies where one GPU holds a model; else so many GPUs to a model that the most responses run
    at once. One pass, unless in place holds more than :data:`_FEWER` times as many responses.
    Where none fits, the one with the most room.

    Raises:
        EngineError: there are too few GPUs for what is asked.
    """
    able = list(layouts(plan.vllm, modes, model, config, item, machine))
    if not able:
        raise EngineError(
            f"does not fit: vLLM is to run on {plan.vllm.ranks} GPUs, and there are "
            f"{len(machine.gpus)}"
        )
    tokens = (cap or NOMINAL_CAP) + PROMPT_TOKENS
    fitting = [one for one in able if one.rows(tokens if cap else 1)]
    if not fitting:
        return max(able, key=lambda one: (one.longest, one.cache))
    alone = [one for one in fitting if one.ranks_each == able[0].ranks_each]
    most = max(alone or fitting, key=lambda one: one.rows(tokens))
    mixing = [one for one in alone or fitting if one.one_pass]
    best = max(mixing, key=lambda one: one.rows(tokens), default=most)
    return best if _FEWER * best.rows(tokens) >= most.rows(tokens) else most


def _from_layout(plan: EnginePlan, found: Layout, part: str, machine: Machine) -> MemoryPlan:
    way = "all recipes in one pass" if found.one_pass else "λ in place"
    each, ranks = found.weights + found.delta, found.ranks_each * found.copies
    on_cpu = not machine.gpus
    where = "of main memory" if on_cpu else "on each GPU" if ranks > 1 else "on the GPU"
    needs = f"{in_bytes(each)} of {in_bytes(found.room)} {where}"
    reason = "" if found.one_pass else part
    if not found.one_pass and not part and plan.mode == "auto":
        reason = f"one pass, with {in_bytes(2 * found.weights)} {where}, leaves too little cache"
    words = f"vLLM, {way}{_spread(found)} (needs {needs}, the rest for the KV cache"
    words += f"; {reason})" if reason else ")"
    problem = ""
    if each >= found.room:
        asked = "" if plan.vllm.tensor_parallel_size is None else "a larger tensor_parallel_size, "
        problem = (
            f"does not fit: vLLM, {way}, needs {in_bytes(each)} {where} beside its KV cache, and "
            f"takes {in_bytes(found.room)}: choose {asked}more or larger GPUs, or the engine "
            "transformers"
        )
    return MemoryPlan(
        "vllm",
        one_pass=found.one_pass,
        as_asked=found.one_pass or plan.mode == "in-place",
        copies=found.copies,
        gpus_each=0 if on_cpu else found.ranks_each,
        gpus=len(machine.gpus),
        room=found.room,
        weights=found.weights,
        delta=found.delta,
        other=found.other,
        cache=found.cache,
        response=found.response,
        most_rows=_MOST_ROWS,
        words=words,
        reason=reason,
        idle="" if on_cpu else idle_words(len(machine.gpus), ranks, _why_idle_in_vllm(plan)),
        problem=problem,
        share=None if on_cpu else found.share,
        tensor=found.tensor,
    )


def _spread(found: Layout) -> str:
    """How a model is spread over GPUs, in words; empty for one copy on one."""
    split = f" over {found.ranks_each} GPUs" if found.ranks_each > 1 else ""
    if found.copies == 1:
        return split
    return f", {found.copies} copies{f', each{split}' if split else ''}"


def _why_idle_in_vllm(plan: EnginePlan) -> str:
    options = plan.vllm
    if options.tensor_parallel_size is None or options.data_parallel_size is None:
        return "the model's heads cannot be shared out over all of them"
    return "tensor_parallel_size × data_parallel_size is as asked"


def _on_ray(plan: EnginePlan, model: int, one_pass: bool, part: str, gpus: int) -> MemoryPlan:
    """A cluster of which this machine knows nothing: sizes are as asked."""
    options = plan.vllm
    split = (options.tensor_parallel_size or 1) * options.pipeline_parallel_size
    each = (1 + one_pass) * model // split
    way = "all recipes in one pass" if one_pass else "λ in place"
    return MemoryPlan(
        "vllm",
        one_pass=one_pass,
        as_asked=one_pass or plan.mode == "in-place",
        copies=options.data_parallel_size or 1,
        gpus_each=split,
        gpus=gpus,
        room=each,
        weights=model // split,
        delta=model // split if one_pass else 0,
        words=f"vLLM, {way} (needs {in_bytes(each)} on each GPU, beside its KV cache)",
        reason=part,
        tensor=options.tensor_parallel_size or 1,
    )
