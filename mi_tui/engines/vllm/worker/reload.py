"""Reload of merged weights into a running model, through vLLM's own reload.

vLLM reloads layer by layer, by the checkpoint's names, and repacks each layer as when it was first
loaded. On CPUs two kinds of layer keep packed copies that this does not reach.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from vllm.model_executor.layers.vocab_parallel_embedding import (
    ParallelLMHead,
    VocabParallelEmbedding,
)
from vllm.platforms import current_platform


def reload(runner: Any, weights: Iterator[tuple[str, Tensor]]) -> None:
    """Replace the weights of a model runner's model; nothing may be running.

    Args:
        runner: either of vLLM's model runners.
        weights: the whole checkpoint, by its own names.
    """
    model = runner.get_model()
    if current_platform.is_cpu():
        _forget_packed_experts(model)
    runner.reload_weights(weights_iterator=weights)
    _repack_tied_heads(model)


def _forget_packed_experts(model: nn.Module) -> None:
    """Let experts be packed again: vLLM packs them for CPUs at the first load alone.

    On GPUs experts are converted at every load, into the storage that CUDA graphs know.
    """
    for module in model.modules():
        method: Any = getattr(module, "quant_method", None)
        if getattr(method, "moe_kernel", None) is not None:
            method.moe_kernel = None


def _repack_tied_heads(model: nn.Module) -> None:
    """Let each tied head take the embedding's new weights: checkpoints do not name the head."""
    owners: dict[int, nn.Module] = {}
    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding):
            first = owners.setdefault(id(module.weight), module)
            if first is not module and isinstance(module, ParallelLMHead):
                module.quant_method.process_weights_after_loading(module)
