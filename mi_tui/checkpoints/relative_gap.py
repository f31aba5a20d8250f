"""The relative gap σ between two checkpoints, by layer and module.

σ = Σ|A − B| / (Σ|A| + Σ|B|) (Shadow-FT, arXiv 2505.12716). The paper's pairs: 0.027 between
Instruct and Thinking, 0.056 and 0.064 from the base to either.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mi_tui.checkpoints.headers import BITS, MIXABLE, TensorInfo
from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.checkpoints.kernels.numpy_kernel import widen
from mi_tui.checkpoints.kernels.raw_bytes import CHUNK, memory
from mi_tui.checkpoints.merging.tensor_worker import Sources
from mi_tui.checkpoints.merging.threads import Progress, thread_count
from mi_tui.checkpoints.roles import role_of
from mi_tui.plan.scope import ModuleKind


@dataclass(frozen=True, slots=True)
class GapCell:
    """σ of one module kind in one layer (``None``: outside the layers), and its elements."""

    layer: int | None
    kind: ModuleKind
    sigma: float
    elements: int


@dataclass(frozen=True, slots=True)
class Gap:
    """σ of a whole pair and its parts; NaN where both sides are zero throughout."""

    sigma: float
    cells: tuple[GapCell, ...]
    by_layer: dict[int, float]
    by_kind: dict[ModuleKind, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes ``None``."""
        return {
            "sigma": _plain(self.sigma),
            "layers": {str(layer): _plain(value) for layer, value in self.by_layer.items()},
            "modules": {str(kind): _plain(value) for kind, value in self.by_kind.items()},
            "cells": [
                {
                    "layer": cell.layer,
                    "module": str(cell.kind),
                    "sigma": _plain(cell.sigma),
                    "elements": cell.elements,
                }
                for cell in self.cells
            ],
        }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def relative_gap(
    a: CheckpointInfo,
    b: CheckpointInfo,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Gap:
    """Measure σ between two checkpoints, streamed in constant memory.

    Tensors that only one side has and integer tensors are left out; of embeddings padded
    differently the common rows count. ``progress`` receives the bytes read of one side.

    Raises:
        CheckpointError: a file became shorter while it was read.
    """
    pairs = [
        (tensor, b.tensors[name])
        for name, tensor in a.tensors.items()
        if name in b.tensors and {tensor.dtype, b.tensors[name].dtype} <= MIXABLE
    ]
    sources = Sources()
    try:
        for file in (*a.files, *b.files):
            sources.open(file)
        sums = _all_sums(pairs, sources, progress, threads or thread_count())
    finally:
        sources.close()
    return _gap([tensor for tensor, _ in pairs], sums)


Sums = tuple[float, float]
"""Σ|A − B| and Σ|A| + Σ|B| of one tensor."""


def _all_sums(
    pairs: Sequence[tuple[TensorInfo, TensorInfo]],
    sources: Sources,
    progress: Progress | None,
    threads: int,
) -> list[Sums]:
    total = sum(tensor.nbytes for tensor, _ in pairs)
    done, sums = 0, []
    with ThreadPoolExecutor(threads) as pool:
        for (tensor, _), result in zip(
            pairs,
            pool.map(lambda pair: _tensor_sums(pair[0], pair[1], sources), pairs),
            strict=True,
        ):
            sums.append(result)
            done += tensor.nbytes
            if progress is not None:
                progress(done, total)
    return sums


def _tensor_sums(a: TensorInfo, b: TensorInfo, sources: Sources) -> Sums:
    count = min(a.count, b.count)
    length = min(CHUNK, count)
    raw = memory(length * 8)
    left, right = np.empty(length, np.float32), np.empty(length, np.float32)
    difference, size = 0.0, 0.0
    for first in range(0, count, CHUNK):
        here = min(CHUNK, count - first)
        x, y = left[:here], right[:here]
        for info, out in ((a, x), (b, y)):
            part = raw[: here * BITS[info.dtype] // 8]
            widen(sources.read(info, first, here, part), info.dtype, out)
        size += float(np.abs(x).sum(dtype=np.float64)) + float(np.abs(y).sum(dtype=np.float64))
        np.subtract(x, y, out=x)
        difference += float(np.abs(x, out=x).sum(dtype=np.float64))
    return difference, size


def _gap(tensors: Sequence[TensorInfo], sums: Sequence[Sums]) -> Gap:
    cells: dict[tuple[int | None, ModuleKind], list[Sums]] = defaultdict(list)
    layers: dict[int, list[Sums]] = defaultdict(list)
    kinds: dict[ModuleKind, list[Sums]] = defaultdict(list)
    elements: dict[tuple[int | None, ModuleKind], int] = defaultdict(int)
    for tensor, pair in zip(tensors, sums, strict=True):
        role = role_of(tensor.name)
        cells[role.layer, role.kind].append(pair)
        elements[role.layer, role.kind] += tensor.count
        kinds[role.kind].append(pair)
        if role.layer is not None:
            layers[role.layer].append(pair)
    order = sorted(
        cells, key=lambda key: (key[0] is None, key[0] or 0, list(ModuleKind).index(key[1]))
    )
    return Gap(
        sigma=_sigma(sums),
        cells=tuple(GapCell(*key, _sigma(cells[key]), elements[key]) for key in order),
        by_layer={layer: _sigma(layers[layer]) for layer in sorted(layers)},
        by_kind={kind: _sigma(kinds[kind]) for kind in ModuleKind if kind in kinds},
    )


def _sigma(sums: Sequence[Sums]) -> float:
    size = math.fsum(pair[1] for pair in sums)
    return math.fsum(pair[0] for pair in sums) / size if size else math.nan
