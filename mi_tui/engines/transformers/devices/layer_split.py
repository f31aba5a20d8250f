"""Layer split: one model over several GPUs, layer after layer, when it fits on none."""

from collections.abc import Sequence
from typing import Any

from accelerate import dispatch_model, infer_auto_device_map
from accelerate.utils import get_balanced_memory

from mi_tui.engines.protocol import EngineError
from mi_tui.text.sizes import in_bytes

_FOR_WEIGHTS = 0.8
"""The share of each GPU's free memory that weights may take; the rest is for the cache."""

DeviceMap = dict[str, int]
"""The number of the GPU for each part of the model."""


def device_map(model: Any, free: Sequence[int]) -> DeviceMap:
    """Share a model out, as evenly as its layers allow.

    Args:
        model: a transformers model, anywhere.
        free: free bytes of each GPU.

    Raises:
        EngineError: all of them together are too small.
    """
    room: dict[int | str, int] = {at: int(_FOR_WEIGHTS * each) for at, each in enumerate(free)}
    room["cpu"] = 0
    whole = list(model._no_split_modules or ())
    even = get_balanced_memory(
        model, max_memory=room, no_split_module_classes=whole, dtype=model.dtype
    )
    for most in (even, room):  # even shares may fail by the size of a layer
        found = infer_auto_device_map(
            model, max_memory=most, no_split_module_classes=whole, dtype=model.dtype
        )
        if all(isinstance(device, int) for device in found.values()):
            return dict(found)
    size = sum(parameter.nbytes for parameter in model.parameters())
    raise EngineError(
        f"the model takes {in_bytes(size)} and the {len(free)} GPUs have "
        f"{in_bytes(sum(free))} free: choose a smaller dtype, more GPUs or device cpu"
    )


def split_layers(model: Any, where: DeviceMap) -> Any:
    """Bring a model's parts to their GPUs; inputs follow by accelerate's hooks."""
    return dispatch_model(model, device_map=where, skip_keys=model._skip_keys_device_placement)
