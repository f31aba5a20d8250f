"""The worker that computes a stretch of a merged tensor in constant memory."""

import os
import threading
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.headers import BITS, TensorInfo
from mi_tui.checkpoints.kernels.compiled_kernel import make_kernel
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, WIDTH, Bytes, Raw, memory
from mi_tui.checkpoints.merging.tensor_plan import TensorPlan
from mi_tui.checkpoints.quantisation.tensors import QuantisedTensor

if TYPE_CHECKING:
    from mi_tui.checkpoints.merging.chunk_worker import ChunkWorker


_KEPT_TENSORS = 6
"""Weight and scale of each of three checkpoints."""


class Sources:
    """The open files of all sources; reading is safe from several threads."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}
        self._kept = _Kept()

    def open(self, file: Path) -> None:
        """Open a file before the threads start."""
        if file not in self._descriptors:
            self._descriptors[file] = os.open(file, os.O_RDONLY)

    def close(self) -> None:
        """Close all files."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def read(self, tensor: TensorInfo, start: int, count: int, buffer: Bytes) -> Bytes:
        """The bytes of ``count`` elements from element ``start``, in ``buffer``.

        Quantised tensors are read as bfloat16.
        """
        if isinstance(tensor, QuantisedTensor):
            return tensor.read(self, start, count, buffer)
        width = BITS[tensor.dtype] // 8
        raw = buffer[: count * width]
        view, position = raw, tensor.start + start * width
        while view:
            got = os.preadv(self._descriptors[tensor.file], [view], position)
            if not got:
                raise CheckpointError(f"{tensor.file} became shorter while it was read: try again")
            view, position = view[got:], position + got
        return raw

    def kept(self, tensor: TensorInfo, start: int, count: int) -> Bytes:
        """The same, kept for this thread until it asks for other elements of the tensor.

        For formats that need a large stretch for a few elements; the last tensors are kept.
        """
        kept = self._kept.tensors
        found = kept.pop(id(tensor), None)
        if found is None or found[:2] != (start, count):
            found = None  # Its memory is free before more is taken.
            if len(kept) >= _KEPT_TENSORS:
                del kept[next(iter(kept))]
            nbytes = count * BITS[tensor.dtype] // 8
            found = (start, count, self.read(tensor, start, count, memory(nbytes)), tensor)
        kept[id(tensor)] = found
        return found[2]


class _Kept(threading.local):
    """What one thread keeps: place and bytes by the tensor's id, the tensor so that it lives."""

    def __init__(self) -> None:
        self.tensors: dict[int, tuple[int, int, Bytes, TensorInfo]] = {}


class TensorWorker:
    """Computes merged tensors; one for each thread, because it owns buffers.

    ``nonfinite`` collects the names of tensors with NaN or Inf.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kernel = make_kernel()
        self._raws: list[Bytes] = []
        self._chunks: ChunkWorker | None = None
        self.nonfinite: set[str] = set()

    def compute(
        self, plan: TensorPlan, start: int, stop: int, out: Bytes
    ) -> Iterator[tuple[int, Bytes]]:
        """Compute the elements from ``start`` to ``stop`` into ``out``, as this is iterated.

        Of a tensor with ``merge`` the stretches must be asked for in order, from the first
        element, because the method may depend on what it did before.

        Yields:
            Each chunk when it is done: its first element, and its bytes, which lie in ``out``.

        Raises:
            CheckpointError: integer tensors differ, or a file became shorter.
        """
        width = BITS[plan.dtype] // 8
        common = plan.common
        for first, last in _chunks(start, common, stop):
            raw = out[(first - start) * width : (last - start) * width]
            if plan.donor is not None and first >= common:
                nonfinite = self._take(plan, plan.donor, first, last - first, raw)
            else:
                nonfinite = self._compute_chunk(plan, first, last - first, raw)
            if plan.kept_rows:
                nonfinite |= self._keep_rows(plan, first, last, raw)
            if nonfinite:
                self.nonfinite.add(plan.name)
            yield first, raw

    def _compute_chunk(self, plan: TensorPlan, first: int, count: int, out: Bytes) -> bool:
        """Returns whether NaN or Inf is in the result."""
        if plan.dtype not in WIDTH:
            return self._compare(plan, first, count, out)
        if not plan.terms:
            return self._take(plan, plan.anchor, first, count, out)
        if plan.merge is None:
            return self._blend(plan, first, count, out)
        return self._merge(plan, first, count, out)

    def _blend(self, plan: TensorPlan, first: int, count: int, out: Bytes) -> bool:
        anchor = self._read(plan.anchor, first, count, 0)
        terms = [
            (term.weight, self._read(term.source, first, count, number))
            for number, term in enumerate(plan.terms, 1)
        ]
        return self._kernel.mix(anchor, terms, plan.dtype, out)

    def _keep_rows(self, plan: TensorPlan, first: int, last: int, out: Bytes) -> bool:
        """Write the donor's kept rows over what was computed, as far as they lie in the chunk."""
        assert plan.donor is not None
        width, row = BITS[plan.dtype] // 8, plan.row_elements
        start = bisect_left(plan.kept_rows, first // row)
        found = False
        for number in plan.kept_rows[start:]:
            begin, end = max(first, number * row), min(last, (number + 1) * row)
            if begin >= last:
                break
            raw = out[(begin - first) * width : (end - first) * width]
            found |= self._take(plan, plan.donor, begin, end - begin, raw)
        return found

    def _merge(self, plan: TensorPlan, first: int, count: int, out: Bytes) -> bool:
        if self._chunks is None:
            from mi_tui.checkpoints.merging.chunk_worker import (
                ChunkWorker,  # It needs NumPy, merging does not.
            )

            self._chunks = ChunkWorker(partial(self._read, number=0))
        self._chunks.merge(plan, first, count, out)
        return self._kernel.has_nonfinite(Raw(plan.dtype, out))

    def _take(
        self, plan: TensorPlan, source: TensorInfo, first: int, count: int, out: Bytes
    ) -> bool:
        """One source's elements as they are, or rounded to another dtype."""
        if source.dtype != plan.dtype:
            return self._kernel.mix(self._read(source, first, count, 0), (), plan.dtype, out)
        self._sources.read(source, first, count, out)
        return self._kernel.has_nonfinite(Raw(plan.dtype, out))

    def _compare(self, plan: TensorPlan, first: int, count: int, out: Bytes) -> bool:
        self._sources.read(plan.anchor, first, count, out)
        for term in plan.terms:
            other = self._read(term.source, first, count, 0)
            if other.dtype != plan.anchor.dtype or bytes(other.data) != bytes(out):
                raise CheckpointError(
                    f"tensor {plan.name} holds {plan.dtype} values that differ between the "
                    "checkpoints: such tensors are compared, not mixed"
                )
        return False

    def _read(self, source: TensorInfo, first: int, count: int, number: int) -> Raw:
        """A chunk's bytes in the buffer of this number."""
        while len(self._raws) <= number:
            self._raws.append(memory(CHUNK * 8))
        return Raw(source.dtype, self._sources.read(source, first, count, self._raws[number]))


def _chunks(start: int, border: int, stop: int) -> Iterator[tuple[int, int]]:
    """Divide a stretch into chunks, none of them across the border."""
    while start < stop:
        last = min(start + CHUNK, border if start < border else stop, stop)
        yield start, last
        start = last
