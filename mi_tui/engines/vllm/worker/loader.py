"""The model loader in vLLM's worker: the donor's config, Instruct's weights, Δ beside them.

Both sides are what merges at λ = 0 and at λ = 1 would hold. Runs before vLLM compiles the model or
captures CUDA graphs, so both see the mixed layers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from vllm.model_executor.layers.linear import LinearBase
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader

from mi_tui.engines.vllm.worker.contract import require_kept
from mi_tui.engines.vllm.worker.differences import CannotMixError, differences
from mi_tui.engines.vllm.worker.first_runner import follow_requests
from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.merged_weights import (
    decoder_tensors,
    merged_tensors,
    plan_side,
    settle_head,
)
from mi_tui.engines.vllm.worker.mixed_layers import MixedPart, mix, parts_to_mix
from mi_tui.engines.vllm.worker.modes import wrong_modes
from mi_tui.engines.vllm.worker.recipe_table import RecipeTable
from mi_tui.engines.vllm.worker.spec import ADMISSION, PairSpec

_NAMED = 256
"""Rows for recipes that are named in full, where fewer requests than this may run."""


@dataclass(slots=True)
class LoadedPair:
    """What the loader leaves on the model.

    ``lambdas`` are the buffers, if this rank has any part that differs; ``reason`` says why one
    pass cannot be had, and is empty when it can.
    """

    spec: PairSpec
    lambdas: LambdaBuffers | None
    reason: str


class PairLoader(DefaultModelLoader):  # type: ignore[misc]  # vLLM is not typed
    """vLLM's loader, twice over; what it needs to know is in ``additional_config``."""

    def __init__(self, load_config: Any) -> None:
        super().__init__(replace(load_config, load_format="safetensors"))
        self._parts: list[MixedPart] = []
        self._reason = "λ in place was asked for"

    def load_model(self, vllm_config: Any, model_config: Any, prefix: str = "") -> nn.Module:
        """Load Instruct (or a recipe's merge), and mix in Δ where the mode and the model allow."""
        require_kept()
        self._spec = PairSpec.read(vllm_config.additional_config)
        if self._spec.one_pass:
            _require_apart(self._spec, vllm_config)
        self._side = plan_side(self._spec.pair, 0.0)
        settle_head(model_config, self._side)
        model: Any = super().load_model(vllm_config, model_config, prefix)
        pair = LoadedPair(self._spec, None, self._reason)
        if self._reason and self._spec.required:
            raise CannotMixError(f"the pair cannot be mixed request by request: {self._reason}")
        if self._parts:
            self._mix(model, pair, vllm_config)
        _follow_requests(model, vllm_config, pair.lambdas)
        self._parts = []
        model.mi_tui = pair
        return cast(nn.Module, model)

    def load_weights(self, model: nn.Module, model_config: Any) -> None:
        """Load one side, then find the differences while the weights have the loaders' layout."""
        super().load_weights(model, model_config)
        if not self._spec.one_pass:
            return
        self._side = plan_side(self._spec.pair, 1.0)
        try:
            found = differences(
                model, lambda: super(PairLoader, self).load_weights(model, model_config)
            )
            self._parts = parts_to_mix(model, found)
        except CannotMixError as error:
            self._reason = str(error)
            return
        self._reason = ""

    def get_all_weights(self, model_config: Any, _model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """One side of the pair, or the merge that the engine was started with."""
        start = self._spec.start
        if start is not None:
            return merged_tensors(self._spec.pair, start, model_config.dtype)
        return decoder_tensors(self._side)

    def track_weights_loading(
        self, model: nn.Module, loaded_weights: set[str] | None, quantized: bool = False
    ) -> None:
        """Refuse a model of which a tensor was not loaded; vLLM lets most kinds of layer pass.

        Raises:
            ValueError: which.
        """
        missing = _own_parameters(model) - (loaded_weights or set())
        if missing:
            raise ValueError(f"not in the checkpoints, and would be random: {min(missing)}")
        super().track_weights_loading(model, loaded_weights, quantized)

    def _mix(self, model: nn.Module, pair: LoadedPair, vllm_config: Any) -> None:
        pair.lambdas = _buffers(
            self._parts, pair.spec, vllm_config, next(model.parameters()).device
        )
        mix(self._parts, pair.lambdas, skip_zero=vllm_config.model_config.enforce_eager)


def _own_parameters(model: nn.Module) -> set[str]:
    """The names of the parameters of linear layers and embeddings."""
    return {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if isinstance(module, LinearBase | VocabParallelEmbedding)
        for name, _ in module.named_parameters(recurse=False)
    } & dict(model.named_parameters()).keys()


def _require_apart(spec: PairSpec, vllm_config: Any) -> None:
    """Refuse what would let requests of different λ be taken for one another.

    Raises:
        CannotMixError: what to give vLLM, or not to.
    """
    for mode in wrong_modes(vllm_config):
        raise CannotMixError(f"λ per request cannot be had with {mode}: start vLLM without it")
    if ADMISSION not in (vllm_config.model_config.logits_processors or ()):
        raise CannotMixError(
            f"vLLM would not refuse requests without a usable λ: start it with {ADMISSION} among "
            "its logits processors"
        )
    if vllm_config.cache_config.enable_prefix_caching and not spec.salted:
        raise CannotMixError(
            "cached prompts would be shared among requests of different λ: start vLLM without "
            "prefix caching, or give each λ a cache_salt and set salted in the pair's spec"
        )


def _follow_requests(model: nn.Module, vllm_config: Any, lambdas: LambdaBuffers | None) -> None:
    """Let vLLM's model runner write λ of each batch, whichever of the two it is."""
    if not vllm_config.use_v2_model_runner:
        from vllm.v1.worker.gpu_model_runner import GPUModelRunner

        follow_requests(GPUModelRunner)
    elif lambdas is not None:
        from mi_tui.engines.vllm.worker.model_state import give_model_state

        give_model_state(model, vllm_config, lambdas)


def _buffers(
    parts: Iterable[MixedPart], spec: PairSpec, vllm_config: Any, device: torch.device
) -> LambdaBuffers:
    scheduler = vllm_config.scheduler_config
    captured = vllm_config.compilation_config.cudagraph_capture_sizes or [0]
    requests = max(scheduler.max_num_seqs, *captured)
    places = tuple(dict.fromkeys(part.place for part in parts))
    table = RecipeTable(places, max(_NAMED, requests), spec.default, device)
    return LambdaBuffers(
        places,
        table,
        most_tokens=max(scheduler.max_num_batched_tokens, *captured),
        most_logits=requests * (1 + vllm_config.num_speculative_tokens),
    )
