"""Start the engine that a preset asks for."""

from mi_tui.engines.protocol import Engine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.startup import imports_uncollected


def open_engine(plan: EnginePlan, pair: Pair) -> Engine:
    """Load the pair into an engine, ready to generate.

    Raises:
        CheckpointError: a checkpoint of the pair cannot be found.
        EngineError: the engine cannot start with this pair on this machine.
    """
    if plan.kind == "vllm":
        with imports_uncollected():
            from mi_tui.engines.vllm.launch import open_vllm

        return open_vllm(plan, pair)
    with imports_uncollected():
        from mi_tui.engines.transformers.engine import TransformersEngine, process_plans
        from mi_tui.engines.transformers.replicas import SeveralEngines

    plans = process_plans(plan, pair)
    if len(plans) == 1:
        return TransformersEngine.open(plans[0], pair)
    return SeveralEngines.open(plans, pair)
