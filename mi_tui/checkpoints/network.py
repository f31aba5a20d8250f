"""The shape of a network as a scope sees it: how many layers, and which module kinds where."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind

if TYPE_CHECKING:
    # A screen that draws a network must not wait for what reads one.
    from mi_tui.checkpoints.inspect import CheckpointInfo

Place = tuple[int | None, ModuleKind]
"""A module kind in a layer; ``None`` is outside the layers."""


@dataclass(frozen=True, slots=True)
class Network:
    """The number of layers, and every place that has a tensor."""

    layers: int
    places: frozenset[Place]

    @property
    def kinds(self) -> tuple[ModuleKind, ...]:
        """The module kinds that there are, in their usual order."""
        found = {kind for _, kind in self.places}
        return tuple(kind for kind in ModuleKind if kind in found)


def network_of(checkpoint: "CheckpointInfo") -> Network:
    """The shape of a checkpoint, from the names of its tensors."""
    roles = [role_of(name) for name in checkpoint.tensors]
    places = frozenset((role.layer, role.kind) for role in roles)
    return Network(checkpoint.layers, places)
