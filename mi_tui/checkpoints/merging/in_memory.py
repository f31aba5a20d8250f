"""A merged model's tensors in memory, for engines that load a recipe without writing it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.checkpoints.merging.plan import MergeDtype, MergePlan, TensorPlan, plan_merge
from mi_tui.checkpoints.merging.tensor_worker import Sources, TensorWorker
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

_TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


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
    """The tensors that carrying out a plan would write; see :func:`mixed_tensors`."""
    return _computed_all(plan.tensors)


def plain_tensors(info: CheckpointInfo) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of one checkpoint by name; quantised weights as bfloat16.

    Raises:
        CheckpointError: a file became shorter while it was read.
    """
    plans = [TensorPlan(t.name, t.dtype, t.shape, t) for t in info.tensors.values()]
    return _computed_all(plans)


def _computed_all(plans: Iterable[TensorPlan]) -> Iterator[tuple[str, torch.Tensor]]:
    sources = Sources()
    try:
        worker = TensorWorker(sources)
        for tensor in plans:
            for file in tensor.files:
                sources.open(file)
            yield tensor.name, _computed(worker, tensor)
    finally:
        sources.close()


def _computed(worker: TensorWorker, tensor: TensorPlan) -> torch.Tensor:
    data = np.empty(tensor.nbytes, np.uint8)
    for _ in worker.compute(tensor, 0, tensor.count, data.data):
        pass
    if not len(data):
        return torch.empty(tensor.shape, dtype=_TORCH[tensor.dtype])
    return torch.from_numpy(data).view(_TORCH[tensor.dtype]).reshape(tensor.shape)
