"""The pretended device's memory: counted by storage, and refused beyond its limit."""

import weakref
from typing import Any

import torch
from torch import Tensor


class Memory:
    """``live`` and ``peak`` are bytes, ``refusals`` how often memory ran out."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.live = 0
        self.peak = 0
        self.refusals = 0
        self._sizes: dict[int, int] = {}

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return max(0, self.limit - self.live)

    def take(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once, for as long as it lives.

        Raises:
            torch.OutOfMemoryError: it does not fit.
        """
        storage: Any = tensor.untyped_storage()
        if storage._cdata in self._sizes:
            return
        size = storage.nbytes()
        if size > self.free:
            self.refusals += 1
            raise torch.OutOfMemoryError(f"CUDA out of memory (pretended): {size} of {self.free}")
        self._sizes[storage._cdata] = size
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._give_back, storage._cdata).atexit = False
        tensor._pretended_storage = storage  # type: ignore[attr-defined]  # lives as long as it

    def _give_back(self, key: int) -> None:
        self.live -= self._sizes.pop(key, 0)
