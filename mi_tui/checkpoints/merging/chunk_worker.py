"""The arithmetic of a method's own, chunk by chunk: the part of a merge that needs NumPy."""

from collections.abc import Callable, Iterator

import numpy as np

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.kernels.numpy_kernel import Floats, narrow, widen
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, Bytes, Raw
from mi_tui.checkpoints.merging.tensor_plan import TensorPlan
from mi_tui.plan.method import ChunkMerge, MergeChunk, Role

Read = Callable[[TensorInfo, int, int], Raw]
"""Reads so many elements of a tensor from the first one on; the next call may overwrite them."""


class ChunkWorker:
    """Merges tensors with ``merge``; one for each thread, because it owns buffers."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffers: list[Floats] = []
        self._merge_chunk: MergeChunk | None = None

    def merge(self, plan: TensorPlan, first: int, count: int, out: Bytes) -> None:
        """Compute ``count`` elements from ``first`` into ``out``; chunks of a tensor in order."""
        assert plan.merge is not None
        tensor = _SourceTensor(plan, plan.merge, self._floats)
        if first == 0:
            self._merge_chunk = plan.merge.start(tensor)
        assert self._merge_chunk is not None
        result = self._merge_chunk(tensor.chunk(plan.merge.sources, first, count))
        narrow(result, plan.dtype, out, self._buffer(len(plan.merge.sources), count))

    def _floats(self, source: TensorInfo, first: int, count: int, number: int) -> Floats:
        """A chunk as float32 in the buffer of this number."""
        out = self._buffer(number, count)
        widen(self._read(source, first, count).data, source.dtype, out)
        return out

    def _buffer(self, number: int, count: int) -> Floats:
        while len(self._buffers) <= number:
            self._buffers.append(np.empty(CHUNK, np.float32))
        return self._buffers[number][:count]


class _SourceTensor:
    """The elements of one tensor that all sources have; a :class:`mi_tui.plan.method.Tensor`."""

    def __init__(
        self,
        plan: TensorPlan,
        merge: ChunkMerge,
        floats: Callable[[TensorInfo, int, int, int], Floats],
    ) -> None:
        self.name = plan.name
        self.count = plan.common
        sources = (plan.anchor, *(term.source for term in plan.terms))
        self._sources = dict(zip(merge.sources, sources, strict=True))
        self._floats = floats

    def chunks(self, *roles: Role) -> Iterator[tuple[Floats, ...]]:
        """One pass over these sources, in float32."""
        for first in range(0, self.count, CHUNK):
            yield self.chunk(roles, first, min(CHUNK, self.count - first))

    def chunk(self, roles: tuple[Role, ...], first: int, count: int) -> tuple[Floats, ...]:
        """``count`` elements of these sources from ``first``."""
        return tuple(
            self._floats(self._sources[role], first, count, number)
            for number, role in enumerate(roles)
        )
