"""The memory of a pair in the transformers engine."""

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.cache_size import cache_size
from mi_tui.engines.memory.plan import PROMPT_TOKENS, MemoryPlan, idle_words
from mi_tui.engines.transformers.devices.pair_size import ITEM_BYTES
from mi_tui.engines.transformers.devices.placement import FOR_CACHE, Room, most_rows, packed_copy
from mi_tui.engines.transformers.devices.replica_plans import Decision, decide, dtype_planned
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.text.plurals import counted


def with_transformers(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    machine: Machine,
    cap: int,
    in_place: str,
) -> MemoryPlan:
    """As :func:`mi_tui.engines.memory.planner.plan_memory`, for this engine; ``cap`` 0: none.

    Raises:
        EngineError: the pair does not fit, or a device is not there.
    """
    asked = plan.mode
    if in_place:
        plan = plan.model_copy(update={"mode": "in-place"})
    room = room_of(machine)
    decision = decide(plan, instruct, thinking, room, cap and cap + PROMPT_TOKENS)
    dtype = dtype_planned(plan, room)
    size = cache_size(thinking.text_config, ITEM_BYTES[dtype])
    placement, model = decision.placement, decision.size.model
    used = _used_gpus(decision, len(machine.gpus))
    split = max(1, placement.gpus)
    free = _room_of(decision, used)
    # On a CPU both sides stay in their files or were counted as read before.
    sides = 2 * model if placement.pair_tensors and used else 0
    delta = model + packed_copy(model) if placement.one_pass else 0
    left = max(0, free - -(-(model + sides + delta) // split))
    cache = int(FOR_CACHE * left)
    return MemoryPlan(
        "transformers",
        one_pass=placement.one_pass,
        as_asked=placement.one_pass or asked == "in-place",
        copies=len(decision.plans),
        gpus_each=split if used else 0,
        gpus=len(machine.gpus),
        room=free,
        weights=-(-model // split),
        sides=sides,
        delta=delta,
        other=left - cache,
        cache=cache,
        response=size.shared(split) if size else None,
        most_rows=most_rows("cuda" if used else "cpu", model),
        words=decision.words,
        reason=in_place or placement.reason,
        idle=idle_words(len(machine.gpus), len(set(used)), _why_idle(plan, decision, room)),
    )


def _used_gpus(decision: Decision, gpus: int) -> list[int]:
    """The number of the GPU of each engine process; all where one is spread; none on a CPU."""
    if decision.placement.gpus > 1:
        return list(range(gpus))
    devices = [plan.device for plan in decision.plans]
    on_gpu = [device for device in devices if device.startswith("cuda") or device == "auto"]
    return [int(device.partition(":")[2] or 0) for device in on_gpu] if gpus else []


def _room_of(decision: Decision, used: list[int]) -> int:
    """What is free for one engine process on each of its devices.

    Over several, layers are shared out by what is free: the mean.
    """
    if not used:
        return decision.room.host
    if decision.placement.gpus > 1:
        return sum(decision.room.gpus[at] for at in used) // len(used)
    return min(decision.room.gpus[at] for at in used)


def _why_idle(plan: EnginePlan, decision: Decision, room: Room) -> str:
    if plan.device not in ("auto", "cuda"):
        return f"device {plan.device} was asked for"
    if plan.processes is not None:
        return "as many processes as asked"
    copied, processes = decision.size.copied, len(decision.plans)
    if copied and room.host < (processes + 1) * copied:
        return f"main memory holds both sides no more than {counted(processes, 'time')}"
    return "too small for one model"


def room_of(machine: Machine) -> Room:
    """What is free on a machine, as placements ask for it."""
    return Room(
        tuple(gpu.free for gpu in machine.gpus),
        machine.memory_free,
        unified=any(gpu.unified for gpu in machine.gpus),
    )
