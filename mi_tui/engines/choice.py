"""The choice between the two engines, made once for a study, with one sentence why."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.memory.plan import MemoryPlan
from mi_tui.engines.memory.planner import plan_memory
from mi_tui.engines.vllm.mixable import unknown_to_vllm
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan

LONG = 4096
"""Tokens of a response beyond which vLLM's start is paid for by its paged cache."""

DOES_NOT_FIT = "does not fit: "

NAMES = {"transformers": "transformers", "vllm": "vLLM"}

Kind = Literal["transformers", "vllm"]


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, why it is that one, and its plan of memory.

    ``plan`` is the engine section with the kind settled. ``chosen``: the section left it open.
    ``layers`` are the model's.
    """

    plan: EnginePlan
    why: str
    memory: MemoryPlan
    chosen: bool
    layers: int = 0

    @property
    def kind(self) -> Kind:
        """The engine's kind."""
        return self.memory.engine

    @property
    def sentence(self) -> str:
        """The engine and why, in one line."""
        return f"{NAMES[self.kind]}, {'chosen: ' if self.chosen else ''}{self.why}"

    @property
    def brief(self) -> str:
        """The engine, how it runs, and how many responses at once, in few words."""
        memory = self.memory
        if memory.problem:
            return f"{NAMES[self.kind]} {memory.problem}"
        way = "one pass" if memory.one_pass else "in place"
        copies = f" × {memory.copies}" if memory.copies > 1 else ""
        rows = memory.concurrency.partition(" (")[0]
        return "; ".join(filter(None, (f"{NAMES[self.kind]}, {way}{copies}", rows, memory.idle)))

    def as_json(self) -> dict[str, Any]:
        """The choice and its plan of memory as data."""
        return {
            "kind": self.kind,
            "chosen": self.chosen,
            "why": self.why,
            "memory": self.memory.as_json(),
        }


def choose_engine(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    machine: Machine,
    *,
    cap: int | None = None,
    in_place: str = "",
    installed: bool | None = None,
) -> EngineChoice:
    """Choose the engine that a section leaves open, and plan its memory.

    vLLM is chosen when it is installed, a GPU is there, the pair can run on it, and a response may
    have more than :data:`LONG` tokens; else transformers.

    Args:
        plan: the engine section of a preset.
        instruct: one side, of which the headers suffice.
        thinking: the other.
        machine: what is free.
        cap: tokens of the longest response, where they are known.
        in_place: why transformers cannot run the pair in one pass, where that is known.
        installed: whether vLLM is; by default as it is here.
    """
    ours = plan.model_copy(update={"kind": "transformers"})
    theirs = plan.model_copy(update={"kind": "vllm"})
    if plan.kind == "transformers":
        memory = plan_memory(ours, instruct, thinking, machine, cap=cap, in_place=in_place)
        return EngineChoice(ours, "as asked", memory, chosen=False, layers=thinking.layers)
    if plan.kind == "vllm":
        memory = plan_memory(theirs, instruct, thinking, machine, cap=cap)
        return EngineChoice(theirs, "as asked", memory, chosen=False, layers=thinking.layers)
    here = find_spec("vllm") is not None if installed is None else installed
    why = _why_not_vllm(plan, instruct, thinking, machine, cap, here)
    if not why:
        memory = plan_memory(theirs, instruct, thinking, machine, cap=cap)
        if memory.fits:
            why = f"a GPU is there, vLLM runs this pair, and responses may have {cap:,} tokens"
            return EngineChoice(theirs, why, memory, chosen=True, layers=thinking.layers)
        why = f"vLLM does not fit ({memory.problem.removeprefix(DOES_NOT_FIT).partition(': ')[0]})"
    memory = plan_memory(ours, instruct, thinking, machine, cap=cap, in_place=in_place)
    return EngineChoice(ours, why, memory, chosen=True, layers=thinking.layers)


def _why_not_vllm(
    plan: EnginePlan,
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    machine: Machine,
    cap: int | None,
    installed: bool,
) -> str:
    """Why vLLM is not chosen, before its memory is planned; empty where it may be."""
    if cap is None or cap <= LONG:
        return f"responses of up to {cap or LONG:,} tokens do not need vLLM, which starts slower"
    if plan.device not in ("auto", "cuda"):
        return f"device {plan.device} was asked for"
    if not machine.gpus:
        return machine.gpu_problem or "no GPU found"
    if not installed:
        return (
            f"vLLM is better for responses of {cap:,} tokens and is not installed: "
            'pip install "mi-tui[vllm]"'
        )
    return unknown_to_vllm(instruct, thinking)
