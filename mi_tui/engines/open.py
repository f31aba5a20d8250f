"""The start of the engine that a preset asks for."""

import importlib.util
import os

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.choice import EngineChoice, choose_engine
from mi_tui.engines.memory.plan import PROMPT_TOKENS
from mi_tui.engines.memory.planner import settled
from mi_tui.engines.protocol import Engine, EngineError
from mi_tui.machine.resources import usable_machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.startup import imports_uncollected


def open_engine(plan: EnginePlan, pair: Pair, cap: int | None = None) -> Engine:
    """Load the pair into an engine, ready to generate.

    Args:
        plan: the engine section of a preset; the kind ``auto`` is settled here.
        pair: the checkpoints.
        cap: tokens of the longest response, for which memory is planned.

    Raises:
        CheckpointError: a checkpoint of the pair cannot be found.
        EngineError: the engine cannot start with this pair on this machine.
    """
    if plan.kind == "vllm":
        _require_vllm()
    if plan.kind != "transformers":
        choice = _chosen(plan, pair, cap)
        if choice.kind == "vllm":
            return _open_vllm(choice, pair)
        plan = choice.plan
    with imports_uncollected():
        from mi_tui.engines.transformers.engine import TransformersEngine, process_plans
        from mi_tui.engines.transformers.replicas import Replicas

    longest = cap + PROMPT_TOKENS if cap else 0
    plans = process_plans(plan, pair, longest)
    if len(plans) == 1:
        return TransformersEngine.open(plans[0], pair, longest)
    return Replicas.open(plans, pair, longest)


def _require_vllm() -> None:
    """Refuse to go on without vLLM.

    Raises:
        EngineError: it is not installed.
    """
    if importlib.util.find_spec("vllm") is None:
        raise EngineError(
            'vLLM is not installed: pip install "mi-tui[vllm]", or set engine.kind to transformers'
        )


def _chosen(plan: EnginePlan, pair: Pair, cap: int | None) -> EngineChoice:
    """The engine of a plan, and the memory that it will take.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
    """
    sides = inspect(locate(pair.instruct)), inspect(locate(pair.thinking))
    return choose_engine(plan, *sides, usable_machine(), cap=cap)


def _open_vllm(choice: EngineChoice, pair: Pair) -> Engine:
    """Start vLLM with a pair as the plan of its memory says.

    Raises:
        CheckpointError: a checkpoint cannot be found.
        EngineError: vLLM cannot start with this pair on this machine.
    """
    if choice.memory.problem:
        raise EngineError(choice.memory.problem)
    plan = settled(choice.plan, choice.memory)
    with imports_uncollected():
        from mi_tui.engines.vllm.arguments import environment

        os.environ.update(environment(plan))  # vLLM reads it as it is imported
        from mi_tui.engines.vllm.engine import VllmEngine

    return VllmEngine(plan, pair, in_place=choice.memory.reason)
