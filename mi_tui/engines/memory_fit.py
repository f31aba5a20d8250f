"""The fit of a pair to a machine: what the engine will do with it, in one line."""

from dataclasses import dataclass, replace

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.pair_size import Dtype, pair_size
from mi_tui.engines.transformers.devices.placement import Room
from mi_tui.engines.transformers.devices.replica_plans import decide
from mi_tui.engines.vllm.arguments import require_plain
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.text.sizes import in_bytes

_VLLM_SHARE = 0.9
"""The share of a GPU's memory that vLLM takes by itself (docs.vllm.ai, "Engine Arguments")."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What an engine will do. ``fits``: it can run; ``as_asked``: and as the plan asks."""

    words: str
    fits: bool
    as_asked: bool


def fit(
    plan: EnginePlan, instruct: CheckpointInfo, thinking: CheckpointInfo, machine: Machine
) -> Fit:
    """Say what will run, by the rules that the engine itself goes by; reads headers only.

    Args:
        plan: the engine section of a preset.
        instruct: one side, of which the headers suffice.
        thinking: the other.
        machine: what is free.
    """
    try:
        if plan.kind == "vllm":
            return Fit(_vllm(plan, instruct, thinking, machine), fits=True, as_asked=True)
        decision = decide(plan, instruct, thinking, room_of(machine))
    except EngineError as error:
        return Fit(str(error), fits=False, as_asked=False)
    as_asked = decision.placement.one_pass or plan.mode == "in-place"
    return Fit(decision.words, fits=True, as_asked=as_asked)


def usable(machine: Machine, torch_version: str | None) -> Machine:
    """A machine as this torch can use it: one that is built for CPUs only sees no GPU.

    Args:
        machine: what is there.
        torch_version: such as ``2.9.0+cpu`` (pytorch.org names builds so); ``None``: no torch.
    """
    if not machine.gpus or torch_version is None or not torch_version.endswith("+cpu"):
        return machine
    cards = f"{len(machine.gpus)} × {machine.gpus[0].name}"
    free = in_bytes(sum(gpu.free for gpu in machine.gpus))
    problem = f"{cards}, {free} free, not used by torch {torch_version}, which is built for CPUs"
    return replace(machine, gpus=(), gpu_problem=problem)


def room_of(machine: Machine) -> Room:
    """What is free on a machine, as placements ask for it."""
    return Room(
        tuple(gpu.free for gpu in machine.gpus),
        machine.memory_free,
        unified=any(gpu.unified for gpu in machine.gpus),
    )


def _vllm(
    plan: EnginePlan, instruct: CheckpointInfo, thinking: CheckpointInfo, machine: Machine
) -> str:
    require_plain(instruct, thinking)
    options = plan.vllm
    split = options.tensor_parallel_size * options.pipeline_parallel_size
    models = 1 if plan.mode == "in-place" else 2
    own: Dtype = "bfloat16" if machine.gpus else "float32"
    size = pair_size(instruct, thinking, own if plan.dtype == "auto" else plan.dtype)
    each = models * size.model // split
    way = "λ in place" if models == 1 else "all recipes in one pass"
    if options.executor == "ray":
        return f"vLLM, {way} (needs {in_bytes(each)} on each GPU, beside its KV cache)"
    ranks = split * options.data_parallel_size
    if not machine.gpus:
        room, where = machine.memory_free, "of main memory"
        each *= ranks
    elif ranks > len(machine.gpus):
        raise EngineError(
            f"does not fit: vLLM is to run on {ranks} GPUs, and there are {len(machine.gpus)}"
        )
    else:
        share = options.gpu_memory_utilization or _VLLM_SHARE
        taken = (min(gpu.free, int(share * gpu.total)) for gpu in machine.gpus[:ranks])
        room, where = min(taken), "on each GPU" if ranks > 1 else "on the GPU"
    if each >= room:
        raise EngineError(
            f"does not fit: vLLM, {way}, needs {in_bytes(each)} {where} beside its KV cache, and "
            f"takes {in_bytes(room)}: set a larger tensor_parallel_size, or the mode in-place"
        )
    needs = f"{in_bytes(each)} of {in_bytes(room)} {where}"
    return f"vLLM, {way} (needs {needs}, the rest for the KV cache)"
