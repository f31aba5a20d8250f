"""A merged model's tensors in memory, for engines that load a recipe without writing it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mi_tui.checkpoints.headers import TensorInfo
from mi_tui.checkpoints.merging.plan import MergePlan, plan_merge
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype, TensorPlan
from mi_tui.checkpoints.merging.tensor_worker import Sources, TensorWorker
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

TORCH_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""torch's dtypes by safetensors' names."""

_WIDTHS = {"F64": 3, "F32": 2, "BF16": 1, "F16": 1}


_Mapping = np.ndarray[Any, np.dtype[np.uint8]]


def mixed_tensors(
    recipe: Recipe, pair: Pair, *, dtype: MergeDtype = "auto"
) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of the merged checkpoint, by its name in the checkpoint, one at a time.

    Works for every recipe, the baselines included; the bytes are those that ``merge`` writes.

    Raises:
        CheckpointError: as ``plan_merge``.
    """
    return tensors_of(plan_merge(recipe, pair, Path(), dtype=dtype))


def tensors_of(plan: MergePlan) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that carrying out a plan would write; see :func:`mixed_tensors`.

    Those that are one source's bytes stay mapped from its file and take no memory of their own.
    """
    sources = Sources()
    mapped: dict[Path, _Mapping] = {}
    try:
        worker = TensorWorker(sources)
        for tensor in plan.tensors:
            if tensor.is_copy:
                yield tensor.name, _mapped(mapped, tensor.anchor)
                continue
            for file in tensor.files:
                sources.open(file)
            yield tensor.name, _computed(worker, tensor)
    finally:
        sources.close()


def as_stored(plan: MergePlan) -> MergePlan:
    """A plan without arithmetic, of which no tensor is rounded: each in the dtype of its source."""
    return replace(plan, tensors=tuple(replace(t, dtype=_widest(t)) for t in plan.tensors))


def _widest(tensor: TensorPlan) -> str:
    dtypes = [source.dtype for source in tensor.sources]
    if len(set(dtypes)) == 1 or not all(dtype in _WIDTHS for dtype in dtypes):
        return dtypes[0]
    widest = max(dtypes, key=_WIDTHS.__getitem__)
    # float16 and bfloat16 hold each other's numbers only in float32.
    return "F32" if _WIDTHS[widest] == 1 else widest


def _mapped(mapped: dict[Path, _Mapping], info: TensorInfo) -> torch.Tensor:
    """A tensor as it lies in its file; writing to it does not write to the file."""
    if not info.nbytes:
        return torch.empty(info.shape, dtype=TORCH_DTYPES[info.dtype])
    if info.file not in mapped:
        mapped[info.file] = np.memmap(info.file, np.uint8, "c")
    part = mapped[info.file][info.start : info.end]
    return torch.from_numpy(part).view(TORCH_DTYPES[info.dtype]).reshape(info.shape)


def _computed(worker: TensorWorker, tensor: TensorPlan) -> torch.Tensor:
    data = np.empty(tensor.nbytes, np.uint8)
    for _ in worker.compute(tensor, 0, tensor.count, data.data):
        pass
    if not len(data):
        return torch.empty(tensor.shape, dtype=TORCH_DTYPES[tensor.dtype])
    return torch.from_numpy(data).view(TORCH_DTYPES[tensor.dtype]).reshape(tensor.shape)
