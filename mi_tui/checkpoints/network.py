"""The shape of a network as a scope sees it: how many layers, and which module kinds where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind

if TYPE_CHECKING:
    # A screen that draws a network must not wait for what reads one.
    from mi_tui.checkpoints.inspect import CheckpointInfo

Place = tuple[int | None, ModuleKind]
"""A module kind in a layer; ``None`` is outside the layers."""


@dataclass(frozen=True, slots=True)
class Network:
    """The number of layers, every place that has a tensor, and the context in tokens, if known."""

    layers: int
    places: frozenset[Place]
    context: int | None = None

    @property
    def kinds(self) -> tuple[ModuleKind, ...]:
        """The module kinds that there are, in their usual order."""
        found = {kind for _, kind in self.places}
        return tuple(kind for kind in ModuleKind if kind in found)


def network_of(checkpoint: "CheckpointInfo") -> Network:
    """The shape of a checkpoint, from the names of its tensors."""
    roles = [role_of(name) for name in checkpoint.tensors]
    places = frozenset((role.layer, role.kind) for role in roles)
    return Network(checkpoint.layers, places, context_of(checkpoint.config))


def context_of(config: Mapping[str, Any]) -> int | None:
    """The longest sequence that a config is made for, in tokens; ``None`` where it says nothing.

    A position encoding that is stretched (YaRN) reaches ``factor`` times as far as it was trained.
    Source: transformers, ``modeling_rope_utils.py``.
    """
    inner = config.get("text_config")
    config = inner if isinstance(inner, Mapping) else config
    found = [config.get("max_position_embeddings")]
    rope = config.get("rope_scaling") or config.get("rope_parameters")
    if isinstance(rope, Mapping):
        factor, trained = rope.get("factor"), rope.get("original_max_position_embeddings")
        if isinstance(factor, int | float) and isinstance(trained, int):
            found.append(int(min(factor, 1e6) * trained) if factor == factor else None)
    return max((one for one in found if isinstance(one, int) and one > 0), default=None)
