"""How many engine processes a plan means on this machine, and on which device each runs."""

from collections.abc import Sequence

from mi_tui.engines.transformers.devices.placement import needs_several
from mi_tui.plan.engine import EnginePlan


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
        return (plan.model_copy(update={"processes": 1}),)
    return tuple(_each(plan, f"cuda:{fitting[at % len(fitting)]}") for at in range(count))


def _each(plan: EnginePlan, device: str) -> EnginePlan:
    # Processes side by side must not share out the same cores once more.
    threads = plan.threads or (1 if (plan.processes or 1) > 1 else None)
    return plan.model_copy(update={"device": device, "processes": 1, "threads": threads})
