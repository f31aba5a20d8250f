"""Compute a merged tensor by TIES, chunk by chunk: the part of the work that needs NumPy."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.kernels.numpy_kernel import Floats, narrow, widen
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, Bytes, Raw
from mi_tui.checkpoints.kernels.ties import Trim, find_trim, merge_disjoint
from mi_tui.checkpoints.merging.plan import TensorPlan

Read = Callable[[TensorInfo, int, int], Raw]
"""Reads so many elements of a tensor from the first one on; the next call may overwrite them."""


class TiesWorker:
    """Merges tensors with ``density``; one for each thread, because it owns buffers."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffers: list[Floats] = []
        self._trims: list[Trim] = []

    def merge(self, plan: TensorPlan, first: int, count: int, out: Bytes) -> None:
        """Compute ``count`` elements from ``first`` into ``out``; chunks of a tensor in order."""
        if first == 0:
            self._trims = self._find_trims(plan)
        anchor = self._floats(plan.anchor, first, count, 0)
        deltas = []
        for number, (term, trim) in enumerate(zip(plan.terms, self._trims, strict=True), 1):
            delta = self._floats(term.source, first, count, number)
            np.subtract(delta, anchor, out=delta)
            trim.apply(delta)
            deltas.append((term.weight, delta))
        result = self._buffer(len(deltas) + 1, count)
        merge_disjoint(deltas, result)
        np.multiply(result, np.float32(plan.scale), out=result)
        np.add(result, anchor, out=result)
        narrow(result, plan.dtype, out, anchor)

    def _find_trims(self, plan: TensorPlan) -> list[Trim]:
        assert plan.density is not None
        return [
            find_trim(partial(self._deltas, plan, term.source), plan.common, plan.density)
            for term in plan.terms
        ]

    def _deltas(self, plan: TensorPlan, source: TensorInfo) -> Iterator[Floats]:
        for first in range(0, plan.common, CHUNK):
            count = min(CHUNK, plan.common - first)
            anchor = self._floats(plan.anchor, first, count, 0)
            delta = self._floats(source, first, count, 1)
            yield np.subtract(delta, anchor, out=delta)

    def _floats(self, source: TensorInfo, first: int, count: int, number: int) -> Floats:
        """A chunk as float32 in the buffer of this number."""
        out = self._buffer(number, count)
        widen(self._read(source, first, count).data, source.dtype, out)
        return out

    def _buffer(self, number: int, count: int) -> Floats:
        while len(self._buffers) <= number:
            self._buffers.append(np.empty(CHUNK, np.float32))
        return self._buffers[number][:count]
