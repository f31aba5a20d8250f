"""Import vLLM with the environment it needs, and start the engine; says so when it is missing."""

import importlib.util
import os

from mi_tui.engines.protocol import Engine, EngineError
from mi_tui.engines.vllm.arguments import environment
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair


def open_vllm(plan: EnginePlan, pair: Pair) -> Engine:
    """Start vLLM with a pair as a plan says.

    Raises:
        CheckpointError: a checkpoint cannot be found.
        EngineError: vLLM is not installed, or cannot start with this pair on this machine.
    """
    if importlib.util.find_spec("vllm") is None:
        raise EngineError(
            'vLLM is not installed: pip install "mi-tui[vllm]", or set engine.kind to transformers'
        )
    os.environ.update(environment(plan))
    from mi_tui.engines.vllm.engine import VllmEngine

    return VllmEngine(plan, pair)
