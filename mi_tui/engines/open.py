"""Start the engine that a preset asks for."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from mi_tui.engines.protocol import Engine
from mi_tui.plan.preset import EnginePlan, Pair


def open_engine(plan: EnginePlan, pair: Pair) -> Engine:
    """Load the pair into an engine, ready to generate.

    Raises:
        CheckpointError: a checkpoint of the pair cannot be found.
        EngineError: the engine cannot start with this pair on this machine.
    """
    if plan.kind == "vllm":
        with _uncollected():
            from mi_tui.engines.vllm.launch import open_vllm

        return open_vllm(plan, pair)
    with _uncollected():
        from mi_tui.engines.several import SeveralEngines
        from mi_tui.engines.transformers_engine import TransformersEngine, process_plans

    plans = process_plans(plan, pair)
    if len(plans) == 1:
        return TransformersEngine.open(plans[0], pair)
    return SeveralEngines.open(plans, pair)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from imported modules, which stay for good.

    It would take a quarter of the time that torch and transformers need to be imported, and look
    through all of it again and again later. What is garbage before is collected: it would stay,
    too.
    """
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
