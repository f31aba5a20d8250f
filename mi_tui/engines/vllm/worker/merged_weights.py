"""The tensors of a merged checkpoint for vLLM's loaders: those that an export would hold.

Which head, which rows and which files are the model is decided where merges are planned; vLLM gets
the donor's config, and tensors by their names in the files.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from mi_tui.checkpoints.checks.extra_tensors import is_extra
from mi_tui.checkpoints.inspect import HEAD_NAME
from mi_tui.checkpoints.merging.in_memory import as_stored, tensors_of
from mi_tui.checkpoints.merging.plan import MergePlan, plan_merge
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation


def plan_side(pair: Pair, lambda_: float) -> MergePlan:
    """One end of the line that is mixed, not rounded: the merge at λ = 0 or 1.

    Raises:
        CheckpointError: a checkpoint cannot be read, or they do not fit together.
    """
    return as_stored(plan_merge(interpolation(lambda_), pair, Path()))


def merged_tensors(
    pair: Pair, recipe: Recipe, dtype: torch.dtype | None
) -> Iterator[tuple[str, Tensor]]:
    """A recipe's merge, tensor by tensor, in a dtype (``None``: that of the files).

    Raises:
        CheckpointError: as :func:`plan_side`.
    """
    name = "auto" if dtype is None else str(dtype).removeprefix("torch.")
    return decoder_tensors(plan_merge(recipe, pair, Path(), dtype=cast(MergeDtype, name)))


def decoder_tensors(plan: MergePlan) -> Iterator[tuple[str, Tensor]]:
    """A plan's tensors by their names in the files.

    Layers that predict further tokens and stored buffers are left out, which do not change what the
    model says and which many of vLLM's loaders refuse.
    """
    config = plan.donor.info.text_config
    return ((name, tensor) for name, tensor in tensors_of(plan) if not is_extra(name, config))


def settle_head(model_config: Any, plan: MergePlan) -> None:
    """Let vLLM build a head of its own, or tie it, as the merge has it.

    vLLM decides by whether one checkpoint stores a head; the merge, by what both sides store.

    Args:
        model_config: vLLM's, before the model is built.
        plan: of either side.
    """
    # Else vLLM ties a head after loading when it is the embedding on the side that comes first.
    model_config.word_embeddings_untied_by_checkpoint = False
    config = model_config.hf_config
    has_head = any(tensor.name.endswith(HEAD_NAME) for tensor in plan.tensors)
    if plan.donor.info.says_tied:
        for part in (config, config.get_text_config()):
            part.tie_word_embeddings = not has_head
