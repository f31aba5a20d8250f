"""The names and parameters of vLLM that λ per request stands in for or calls.

These are no interfaces that vLLM promises to keep; they are looked at when vLLM starts, so that a
version in which one of them moved is named instead of failing somewhere else.
"""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

FIRST = "vllm.v1.worker.gpu_model_runner:GPUModelRunner"
SECOND = "vllm.v1.worker.gpu.model_runner:GPUModelRunner"
_STATE = "vllm.v1.worker.gpu.model_states.interface:ModelState"
_LINEAR = "vllm.model_executor.layers.linear:UnquantizedLinearMethod"
_VOCABULARY = "vllm.model_executor.layers.vocab_parallel_embedding:UnquantizedEmbeddingMethod"
_LOADER = "vllm.model_executor.model_loader.default_loader:DefaultModelLoader"
_NORMS = "vllm.model_executor.layers.layernorm"
_ENGINE = "vllm.v1.engine.async_llm:AsyncLLM"

REPLACED = {
    # first_runner.py, model_state.py
    f"{FIRST}._prepare_inputs": "scheduler_output num_scheduled_tokens",
    f"{_STATE}.__init__": "vllm_config model encoder_cache device",
    f"{_STATE}.add_request": "req_index new_req_data",
    f"{_STATE}.remove_request": "req_id",
    f"{_STATE}.apply_staged_writes": "",
    f"{_STATE}.prepare_inputs": "input_batch req_states",
    # mixed_layers.py
    f"{_LINEAR}.apply": "layer x bias",
    f"{_LINEAR}.process_weights_after_loading": "layer",
    f"{_VOCABULARY}.apply": "layer x bias",
    f"{_VOCABULARY}.embedding": "layer input_",
    f"{_VOCABULARY}.tie_weights": "layer embed_tokens",
    f"{_NORMS}:RMSNorm.forward_native": "x residual",
    f"{_NORMS}:GemmaRMSNorm.forward_native": "x residual",
    # loader.py
    f"{_LOADER}.__init__": "load_config",
    f"{_LOADER}.load_model": "vllm_config model_config prefix",
    f"{_LOADER}.load_weights": "model model_config",
    f"{_LOADER}.get_all_weights": "model_config model",
    f"{_LOADER}.track_weights_loading": "model loaded_weights quantized",
}
"""What ours stands in for, with its parameters: a new one must not be lost."""

CALLED = {
    "vllm.v1.worker.gpu.model_states:resolve_model_state_cls": {"vllm_config", "model"},
    "vllm.model_executor.model_loader:register_model_loader": {"load_format"},
    f"{FIRST}.reload_weights": {"weights_iterator"},
    f"{SECOND}.reload_weights": {"weights_iterator"},
    f"{FIRST}.get_model": set[str](),
    f"{SECOND}.get_model": set[str](),
    f"{_ENGINE}.generate": {"prompt", "sampling_params", "request_id", "data_parallel_rank"},
    f"{_ENGINE}.abort": {"request_id"},
    f"{_ENGINE}.collective_rpc": {"method", "args"},
    f"{_ENGINE}.reset_prefix_cache": set[str](),
    f"{_ENGINE}.shutdown": {"timeout"},
}
"""What we call, with the parameters that we give."""


def broken() -> Iterator[str]:
    """Each name of the contract that the installed vLLM does not keep, in words."""
    for where, wanted in REPLACED.items():
        named = parameters(where)
        if named is None:
            yield f"{_short(where)} is missing"
        elif named != wanted.split():
            yield f"{_short(where)} takes ({', '.join(named)})"
    for where, given in CALLED.items():
        named = parameters(where)
        if named is None:
            yield f"{_short(where)} is missing"
        elif lacking := sorted(given - set(named)):
            yield f"{_short(where)} takes no {', '.join(lacking)}"


def require_kept() -> None:
    """Refuse a vLLM in which something moved that λ per request needs.

    Raises:
        RuntimeError: in one line: which vLLM, and what.
    """
    found = list(broken())
    if found:
        import vllm

        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise RuntimeError(
            f"vLLM {vllm.__version__} is not the one that mi-tui was written for: "
            f'{", ".join(found[:3])}{more}: pip install "mi-tui[vllm]"'
        )


def parameters(where: str) -> list[str] | None:
    """The parameters of what stands at ``module:path``; ``None`` where nothing does."""
    try:
        named = inspect.signature(at(where)).parameters
    except (ImportError, AttributeError):
        return None
    return [name for name in named if name != "self"]


def at(where: str) -> Callable[..., Any]:
    """What stands at ``module:path``.

    Raises:
        ImportError, AttributeError: nothing does.
    """
    module, _, path = where.partition(":")
    one: Any = import_module(module)
    for name in path.split("."):
        one = getattr(one, name)
    function: Callable[..., Any] = one
    return function


def _short(where: str) -> str:
    return where.partition(":")[2]
