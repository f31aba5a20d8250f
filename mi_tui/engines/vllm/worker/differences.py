"""Δ = Thinking − Instruct, built by the model's own weight loaders, shard by shard.

Loading Thinking over the loaded Instruct lets every loader do its slicing, stacking and padding a
second time, so Δ has exactly the layout of the rank's own part of the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class CannotMixError(Exception):
    """A model of which one pass cannot mix some part; the message says which."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Δ of one parameter, by the first of the names it has; in the parameter's dtype and shape."""

    name: str
    delta: Tensor


Differences = dict[int, Difference]
"""Differences by ``id`` of the parameter, so that a tied head finds the embedding's."""


@torch.no_grad()
def differences(model: nn.Module, load_thinking: Callable[[], None]) -> Differences:
    """Δ of every parameter that differs; the model holds Instruct again afterwards.

    Needs memory for one more set of weights, which Δ then occupies, and for the largest tensor.

    Args:
        model: loaded with Instruct, not yet processed into a kernel's layout.
        load_thinking: loads Thinking over it.

    Raises:
        CannotMixError: a buffer that checkpoints hold differs.
    """
    instruct = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    buffers = {name: tensor.detach().clone() for name, tensor in model.named_buffers()}
    load_thinking()
    found: Differences = {}
    for name, parameter in model.named_parameters():
        mine = instruct.pop(name)
        thinking = parameter.detach().clone()
        parameter.copy_(mine)
        if not torch.equal(mine, thinking):
            mine.copy_(thinking.float() - mine.float())
            found[id(parameter)] = Difference(name, mine)
    changed = [name for name, buffer in model.named_buffers() if not _same(buffer, buffers[name])]
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    if changed:
        raise CannotMixError(f"{changed[0]} is a buffer, which one pass cannot mix")
    return found


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
