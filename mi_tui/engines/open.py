"""The start of the engine that a preset asks for."""

import importlib.util
import os

from mi_tui.engines.protocol import Engine, EngineError
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
        return _open_vllm(plan, pair)
    with imports_uncollected():
        from mi_tui.engines.transformers.engine import TransformersEngine, process_plans
        from mi_tui.engines.transformers.replicas import Replicas

    plans = process_plans(plan, pair)
    if len(plans) == 1:
        return TransformersEngine.open(plans[0], pair)
    return Replicas.open(plans, pair)


def _open_vllm(plan: EnginePlan, pair: Pair) -> Engine:
    """Start vLLM with a pair as a plan says.

    Raises:
        CheckpointError: a checkpoint cannot be found.
        EngineError: vLLM is not installed, or cannot start with this pair on this machine.
    """
    if importlib.util.find_spec("vllm") is None:
        raise EngineError(
            'vLLM is not installed: pip install "mi-tui[vllm]", or set engine.kind to transformers'
        )
    with imports_uncollected():
        from mi_tui.engines.vllm.arguments import environment

        os.environ.update(environment(plan))  # vLLM reads it as it is imported
        from mi_tui.engines.vllm.engine import VllmEngine

    return VllmEngine(plan, pair)
