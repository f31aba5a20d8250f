"""Compute one stretch of one merged tensor, chunk by chunk, in constant memory."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from mi_tui.checkpoints.blend import (
    CHUNK,
    WIDTH,
    Bytes,
    Floats,
    Workspace,
    blend,
    has_nonfinite,
    narrow,
    widen,
)
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.headers import BITS, TensorInfo
from mi_tui.checkpoints.mergeplan import TensorPlan
from mi_tui.checkpoints.ties import Trim, find_trim, merge_disjoint

Emit = Callable[[int, Bytes], None]
"""Receives the position of a chunk's first element and the chunk's bytes."""


class Sources:
    """The open files of all sources; reading is safe from several threads."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}

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
        """The bytes of ``count`` elements from element ``start``, in ``buffer``."""
        width = BITS[tensor.dtype] // 8
        raw = buffer[: count * width]
        view, position = memoryview(raw.data), tensor.start + start * width
        while view:
            got = os.preadv(self._descriptors[tensor.file], [view], position)
            if not got:
                raise CheckpointError(f"{tensor.file} became shorter while it was read: try again")
            view, position = view[got:], position + got
        return raw


class TensorWorker:
    """Computes merged tensors; one for each thread, because it owns buffers.

    ``nonfinite`` collects the names of tensors with NaN or Inf.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._space = Workspace()
        self._more: list[Floats] = []
        self.nonfinite: set[str] = set()

    def compute(self, plan: TensorPlan, start: int, stop: int, emit: Emit) -> None:
        """Compute the elements from ``start`` to ``stop`` and hand them to ``emit`` in order.

        Raises:
            CheckpointError: integer tensors differ, or a file became shorter.
        """
        trims = self._trims(plan) if plan.density is not None else []
        for first in range(start, min(stop, plan.common), CHUNK):
            count = min(CHUNK, min(stop, plan.common) - first)
            self._finish(plan, first, self._chunk(plan, first, count, trims), emit)
        if plan.tail is not None:
            for first in range(max(start, plan.common), stop, CHUNK):
                count = min(CHUNK, stop - first)
                self._finish(plan, first, self._taken(plan, plan.tail, first, count), emit)

    def _finish(self, plan: TensorPlan, first: int, raw: Bytes, emit: Emit) -> None:
        if plan.name not in self.nonfinite and has_nonfinite(raw, plan.dtype):
            self.nonfinite.add(plan.name)
        emit(first, raw)

    def _chunk(self, plan: TensorPlan, first: int, count: int, trims: list[Trim]) -> Bytes:
        if plan.dtype not in WIDTH:
            return self._compared(plan, first, count)
        if not plan.terms:
            return self._taken(plan, plan.anchor, first, count)
        anchor = self._floats(plan.anchor, first, count, 0)
        deltas = [
            (term.weight, self._floats(term.source, first, count, number))
            for number, term in enumerate(plan.terms, 1)
        ]
        result = self._space.result[:count]
        if plan.density is None:
            blend(anchor, deltas, result)
            return narrow(result, plan.dtype, self._space)
        for (_, delta), trim in zip(deltas, trims, strict=True):
            np.subtract(delta, anchor, out=delta)
            trim.apply(delta)
        merge_disjoint(deltas, result)
        np.multiply(result, np.float32(plan.scale), out=result)
        np.add(result, anchor, out=result)
        return narrow(result, plan.dtype, self._space)

    def _taken(self, plan: TensorPlan, source: TensorInfo, first: int, count: int) -> Bytes:
        """One source's elements as they are, or rounded to another dtype."""
        if source.dtype == plan.dtype:
            return self._sources.read(source, first, count, self._space.raw_in)
        return narrow(self._floats(source, first, count, 0), plan.dtype, self._space)

    def _compared(self, plan: TensorPlan, first: int, count: int) -> Bytes:
        raw = self._sources.read(plan.anchor, first, count, self._space.raw_in)
        for term in plan.terms:
            same_type = term.source.dtype == plan.anchor.dtype
            other = self._sources.read(term.source, first, count, self._space.raw_out)
            if not same_type or not np.array_equal(raw, other):
                raise CheckpointError(
                    f"tensor {plan.name} holds {plan.dtype} values that differ between the "
                    "checkpoints: such tensors are compared, not mixed"
                )
        return raw

    def _floats(self, source: TensorInfo, first: int, count: int, number: int) -> Floats:
        """A chunk widened into the buffer of this number."""
        while len(self._more) <= number:
            self._more.append(np.empty(CHUNK, np.float32))
        out = self._more[number][:count]
        widen(self._sources.read(source, first, count, self._space.raw_in), source.dtype, out)
        return out

    def _trims(self, plan: TensorPlan) -> list[Trim]:
        return [
            find_trim(partial(self._deltas, plan, term.source), plan.common, plan.density or 1.0)
            for term in plan.terms
        ]

    def _deltas(self, plan: TensorPlan, source: TensorInfo) -> Iterator[Floats]:
        for first in range(0, plan.common, CHUNK):
            count = min(CHUNK, plan.common - first)
            anchor = self._floats(plan.anchor, first, count, 0)
            delta = self._floats(source, first, count, 1)
            yield np.subtract(delta, anchor, out=delta)
