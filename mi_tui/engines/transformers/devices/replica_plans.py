"""Plans of the replicas: how many engine processes, on which devices, with which strategy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.cache_size import cache_size
from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.pair_size import ITEM_BYTES, Dtype, PairSize, pair_size
from mi_tui.engines.transformers.devices.placement import (
    Placement,
    Room,
    needs_several,
    place_pair,
)
from mi_tui.plan.engine import EnginePlan
from mi_tui.text.sizes import in_bytes


@dataclass(frozen=True, slots=True)
class Decision:
    """One plan for each engine process, and the placement of the pair where least is free.

    ``size`` is the pair's, ``room`` what is free for each process once the pair is read.
    """

    plans: tuple[EnginePlan, ...]
    placement: Placement
    size: PairSize
    room: Room

    @property
    def words(self) -> str:
        """What will be done, in one line."""
        if len(self.plans) == 1:
            return self.placement.words
        return f"{len(self.plans)} replicas, each: {self.placement.words}"


def decide(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    room: Room,
    longest: int = 0,
) -> Decision:
    """What a plan means for a pair that is not loaded yet.

    Args:
        plan: the preset's.
        instruct: one side, of which the headers suffice.
        thinking: the other.
        room: what is free now.
        longest: the tokens that a prompt and its response may have together; 0: not known.

    Raises:
        EngineError: the pair does not fit, or the device is not there.
    """
    dtype = dtype_planned(plan, room)
    size = pair_size(instruct, thinking, dtype)
    plans = plans_for(plan, room.gpus, size.model)
    if plan.processes is None and size.copied:  # each process reads the pair
        plans = plans[: max(1, room.host // size.copied)]
    copied = len(plans) * size.copied
    if copied > room.host:
        each = f" in each of {len(plans)} processes" if len(plans) > 1 else ""
        raise EngineError(
            f"does not fit: reading both sides{each} takes {in_bytes(copied)} of main memory, and "
            f"{in_bytes(room.host)} are free: choose the files' own dtype, fewer processes or "
            "another machine"
        )
    sharing = Counter(one.device for one in plans)
    left = Room(
        tuple(free // max(1, sharing[f"cuda:{at}"]) for at, free in enumerate(room.gpus)),
        (room.host - copied) // len(plans),
        room.unified,
    )
    if room.unified:
        left = Room(tuple(max(0, free - copied) for free in left.gpus), left.host, unified=True)
    devices = [one.device for one in plans]
    if devices[0] == "auto":
        devices = ["cuda" if room.gpus else "cpu"]
    response = cache_size(thinking.text_config, ITEM_BYTES[dtype]) if longest else None
    placement = place_pair(
        size.model,
        min(devices, key=lambda device: _free(device, left)),
        left,
        one_pass=plan.mode != "in-place",
        row=response.row(longest) if response else 0,
    )
    return Decision(plans, placement, size, left)


def _free(device: str, room: Room) -> int:
    """What is free on a GPU that goes by its number; nothing is known of another device."""
    number = device.partition(":")[2]
    return room.gpus[int(number)] if number.isdecimal() and int(number) < len(room.gpus) else 0


def dtype_planned(plan: EnginePlan, room: Room) -> Dtype:
    """The dtype that a plan means on a machine, before torch is asked what its GPUs have."""
    if plan.dtype != "auto":
        return plan.dtype
    on_gpu = plan.device != "cpu" and (plan.device != "auto" or bool(room.gpus))
    return "bfloat16" if on_gpu else "float32"


def plans_for(plan: EnginePlan, gpus: Sequence[int], model_bytes: int) -> tuple[EnginePlan, ...]:
    """One plan for each engine process.

    Args:
        plan: the preset's.
        gpus: the free bytes of each CUDA device; empty without any.
        model_bytes: the size of one model's weights on the device.
    """
    if plan.device not in ("auto", "cuda") or not gpus:
        return (_each(plan, plan.device),) * (plan.processes or 1)
    fitting = [at for at, free in enumerate(gpus) if not needs_several(model_bytes, free)]
    if not fitting:
        return (plan.model_copy(update={"processes": 1}),)
    count = plan.processes or len(fitting)
    if count == 1:
        # By its number only where the first is too small, since that means one GPU and no other.
        device = plan.device if fitting[0] == 0 else f"cuda:{fitting[0]}"
        return (plan.model_copy(update={"processes": 1, "device": device}),)
    return tuple(_each(plan, f"cuda:{fitting[at % len(fitting)]}") for at in range(count))


def _each(plan: EnginePlan, device: str) -> EnginePlan:
    # Processes side by side must not share out the same cores once more.
    threads = plan.threads or (1 if (plan.processes or 1) > 1 else None)
    return plan.model_copy(update={"device": device, "processes": 1, "threads": threads})
