"""Arguments of vLLM: engine, environment and sampling, from our plan and requests."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.protocol import EngineError, Request
from mi_tui.engines.vllm.layout import cpu_cache
from mi_tui.engines.vllm.worker.requested_lambda import RECIPE
from mi_tui.engines.vllm.worker.spec import ADMISSION, EXTENSION, LOAD_FORMAT, PairSpec
from mi_tui.machine.host import main_memory
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.recipe import Decoding, Recipe


def require_plain(*infos: CheckpointInfo) -> None:
    """Refuse checkpoints that vLLM would load with a quantisation of its own.

    Raises:
        EngineError: which one, and what to do.
    """
    for info in infos:
        said = info.dequantised or info.left_over_quantisation
        if said:
            raise EngineError(
                f"{info} is {said}, which vLLM loads into layers that cannot be mixed: take the "
                "engine transformers, or a bf16 checkpoint of it"
            )


def generation_defaults(decoding: Decoding) -> dict[str, Any]:
    """vLLM's ``--override-generation-config``: the study's sampling, where a request says nothing.

    A checkpoint's own ``generation_config.json`` may have penalties and a limit of new tokens,
    which no study has; they are put back to what changes nothing.
    """
    return {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "max_new_tokens": None,
    }


def engine_arguments(
    plan: EnginePlan, model: Path, spec: PairSpec | None, *, on_cpu: bool, trust_remote_code: bool
) -> dict[str, Any]:
    """The keyword arguments of ``vllm.AsyncEngineArgs``.

    Args:
        plan: the engine section.
        model: the checkpoint whose config vLLM reads: the donor's. Its weights are loaded only
            without a pair.
        spec: the pair, or ``None`` for the plain model by itself.
        on_cpu: whether vLLM was built for CPUs.
        trust_remote_code: whether code in the checkpoint may run.
    """
    options = plan.vllm
    arguments: dict[str, Any] = {
        "model": str(model),
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "load_format": "safetensors",
        "dtype": _dtype(plan, on_cpu),
        "trust_remote_code": trust_remote_code,
        "tensor_parallel_size": options.tensor_parallel_size or 1,
        "pipeline_parallel_size": options.pipeline_parallel_size,
        "data_parallel_size": options.data_parallel_size or 1,
        "enable_prefix_caching": True,
        "enforce_eager": on_cpu if options.enforce_eager is None else options.enforce_eager,
        "enable_log_requests": False,
        # -1: as long as the model and the memory allow.
        "max_model_len": options.max_model_len or -1,
    }
    if spec is not None:
        arguments["load_format"] = LOAD_FORMAT
        arguments["worker_extension_cls"] = EXTENSION
        arguments["logits_processors"] = [ADMISSION]
        arguments["additional_config"] = spec.additional_config()
    if plan.batch is not None:
        arguments["max_num_seqs"] = plan.batch
    if options.kv_cache_dtype != "auto":
        arguments["kv_cache_dtype"] = options.kv_cache_dtype
    if options.executor != "auto":
        arguments["distributed_executor_backend"] = options.executor
    if options.executor == "ray" and (options.data_parallel_size or 1) > 1:
        arguments["data_parallel_backend"] = "ray"
    if options.gpu_memory_utilization is not None:
        arguments["gpu_memory_utilization"] = options.gpu_memory_utilization
    elif on_cpu:
        arguments["kv_cache_memory_bytes"] = cpu_cache(
            main_memory().available, options.tensor_parallel_size or 1
        )
    return arguments


def environment(plan: EnginePlan) -> dict[str, str]:
    """Environment variables to set before vLLM is imported, as far as the user has not set them.

    Processes are spawned, not forked: a forked one would inherit the study's lock and keep it
    when the worker dies.
    """
    wanted = {
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    if plan.threads is not None:
        wanted["OMP_NUM_THREADS"] = str(plan.threads)
    return {name: value for name, value in wanted.items() if name not in os.environ}


def _dtype(plan: EnginePlan, on_cpu: bool) -> str:
    if plan.dtype == "auto" and on_cpu:
        return "float32"
    return plan.dtype


def sampling_arguments(
    request: Request, mixed: Recipe, end_tokens: Collection[int], logprobs: int | None = None
) -> dict[str, Any]:
    """The keyword arguments of ``vllm.SamplingParams`` for a request.

    A response ends with the donor's end tokens alone, so vLLM is told to ignore the one that it
    finds by itself.

    Args:
        request: what is wanted.
        mixed: the recipe that one pass is to mix for it.
        end_tokens: the ids that end a response.
        logprobs: how many alternatives to report for each token.
    """
    decoding = request.recipe.decoding
    return {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "seed": request.seed,
        "max_tokens": request.max_new_tokens,
        "stop_token_ids": sorted(end_tokens),
        "ignore_eos": True,
        "logprobs": logprobs,
        "detokenize": False,
        "extra_args": {RECIPE: mixed.canonical_json()},
    }
