"""Shards: tensors divided among safetensors files, and the layout of each file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mi_tui.checkpoints.headers import BITS
from mi_tui.checkpoints.merging.tensor_plan import TensorPlan


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of the result: its name, header and tensors with their place in the file."""

    name: str
    header: bytes
    places: tuple[tuple[TensorPlan, int], ...]

    @property
    def nbytes(self) -> int:
        """The size of the whole file."""
        return len(self.header) + sum(tensor.nbytes for tensor, _ in self.places)


def lay_out(tensors: Sequence[TensorPlan], shard_bytes: int) -> tuple[Shard, ...]:
    """The files of a checkpoint, each at most ``shard_bytes`` large where a tensor allows it."""
    groups: list[list[TensorPlan]] = [[]]
    size = 0
    for tensor in tensors:
        if groups[-1] and size + tensor.nbytes > shard_bytes:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += tensor.nbytes
    total = len(groups)
    names = [f"model-{i:05d}-of-{total:05d}.safetensors" for i in range(1, total + 1)]
    if total == 1:
        names = ["model.safetensors"]
    return tuple(_shard(name, group) for name, group in zip(names, groups, strict=True))


def _shard(name: str, tensors: Iterable[TensorPlan]) -> Shard:
    # Widest elements first, so that every tensor starts at a multiple of its element's size.
    ordered = sorted(tensors, key=lambda tensor: -BITS[tensor.dtype])
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offsets = []
    position = 0
    for tensor in ordered:
        end = position + tensor.nbytes
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        offsets.append(position)
        position = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    places = zip(ordered, (len(header) + offset for offset in offsets), strict=True)
    return Shard(name, header, tuple(places))


def index_of(shards: Sequence[Shard]) -> dict[str, Any]:
    """The content of ``model.safetensors.index.json``."""
    plans = [(tensor, shard.name) for shard in shards for tensor, _ in shard.places]
    return {
        "metadata": {
            "total_parameters": sum(tensor.count for tensor, _ in plans),
            "total_size": sum(tensor.nbytes for tensor, _ in plans),
        },
        "weight_map": dict(sorted((tensor.name, name) for tensor, name in plans)),
    }
