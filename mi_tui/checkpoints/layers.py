"""Whether a recipe speaks of layers that a checkpoint has."""

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.plan.recipe import Recipe


def require_layers(recipe: Recipe, info: CheckpointInfo) -> None:
    """Refuse a scope or a rule beyond the last layer.

    Raises:
        CheckpointError: a layer range ends behind the checkpoint's last layer.
    """
    ranges = [*recipe.scope.layers, *(r for rule in recipe.rules for r in rule.layers)]
    for layers in ranges:
        if layers.last >= info.layers:
            raise CheckpointError(
                f"{recipe.label}: layers {layers} are not all in {info.location}, "
                f"which has layers 0-{info.layers - 1}"
            )
