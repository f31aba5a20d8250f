"""The rule of which modules one pass can mix, told from a model with or without memory."""

import inspect
from collections.abc import Callable, Collection
from enum import Enum, auto
from typing import Any

from torch import nn

from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind


class Mixing(Enum):
    """The ways to mix a module sequence by sequence."""

    LINEAR = auto()
    EMBEDDING = auto()
    EXPERTS = auto()
    ROUTER = auto()
    NORM = auto()


def mixing_of(module: nn.Module, own: Collection[str], kind: ModuleKind) -> Mixing | None:
    """The way to mix a module, or ``None`` where one pass does not know one.

    Args:
        module: of a transformers model.
        own: the names of its own parameters.
        kind: the role of its parameters.
    """
    if isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward:
        return Mixing.LINEAR
    if isinstance(module, nn.Embedding):
        return Mixing.EMBEDDING
    if set(own) == {"gate_up_proj", "down_proj"} and _is_stacked_ffn(module):
        return Mixing.EXPERTS
    if kind is ModuleKind.ROUTER and set(own) == {"weight"}:
        return Mixing.ROUTER
    if kind is ModuleKind.NORMS and set(own) <= {"weight", "bias"}:
        return Mixing.NORM
    return None


def cannot_mix(name: str, module: nn.Module) -> str:
    """Why a module keeps a model from being mixed in one pass."""
    return f"{name} is a {type(module).__name__}, which one pass cannot mix"


def cannot_mix_buffer(name: str) -> str:
    """Why a buffer does."""
    return f"{name} is a buffer, which one pass cannot mix"


def why_no_one_pass(model: Any, kind_of: Callable[[str], ModuleKind | None] | None = None) -> str:
    """Why sequences of different λ cannot share a batch; empty where they can.

    Args:
        model: a transformers model, with or without memory.
        kind_of: the role of a tensor by its name, ``None`` where both sides hold the same
            numbers; by default what its name says, as if all tensors differed.
    """
    kind_of = kind_of or (lambda name: role_of(name).kind)
    for name, module in model.named_modules():
        own = [at for at, _ in module.named_parameters(recurse=False)]
        kinds = {kind for at in own if (kind := kind_of(f"{name}.{at}")) is not None}
        for kind in kinds - {ModuleKind.VISION}:
            if mixing_of(module, own, kind) is None:
                return cannot_mix(name, module)
    stored = model.state_dict()
    for name, buffer in model.named_buffers():
        is_weight = name in stored and buffer.is_floating_point()
        if is_weight and kind_of(name) not in (None, ModuleKind.VISION):
            return cannot_mix_buffer(name)
    return ""


def _is_stacked_ffn(module: Any) -> bool:
    """Whether experts are stacked as [experts, out, in], and are told which ones a token takes."""
    if not hasattr(module, "act_fn") or len(inspect.signature(module.forward).parameters) != 3:
        return False
    gate_up, down = module.gate_up_proj, module.down_proj
    return bool(gate_up.dim() == 3 and gate_up.shape[1] == 2 * down.shape[2])
