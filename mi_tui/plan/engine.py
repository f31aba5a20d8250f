"""The plan of an engine: its kind, its device, and the options of vLLM."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.base import Plan


class VllmOptions(Plan):
    """How vLLM spreads and holds the model; the names are vLLM's own.

    ``executor`` says how vLLM starts its ranks: as processes of this machine (``mp``), or through
    a running Ray cluster, which may span nodes. ``gpu_memory_utilization`` is the share of each
    GPU's memory that vLLM takes, ``max_model_len`` the longest prompt and response together
    (``None``: as long as model and memory allow). ``enforce_eager`` does without compilation and
    CUDA graphs (``None``: on CPUs).
    """

    tensor_parallel_size: int = Field(default=1, ge=1)
    pipeline_parallel_size: int = Field(default=1, ge=1)
    data_parallel_size: int = Field(default=1, ge=1)
    executor: Literal["auto", "mp", "ray"] = "auto"
    gpu_memory_utilization: float | None = Field(default=None, gt=0.0, le=1.0)
    max_model_len: int | None = Field(default=None, ge=1)
    enforce_eager: bool | None = None


class EnginePlan(Plan):
    """Which engine generates, and how.

    ``mode``: ``one-pass`` evaluates rows of different λ in one batch, ``in-place`` switches the
    weights, ``auto`` takes the cheaper of the two. ``batch`` is the number of rows generated at
    once (``None``: from free memory). ``processes`` is the number of engine processes (``None``:
    one for each GPU where the model fits on one, else a single one). ``vllm`` is read where the
    kind is ``vllm``.
    """

    kind: Literal["transformers", "vllm"] = "transformers"
    mode: Literal["auto", "one-pass", "in-place"] = "auto"
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    processes: int | None = Field(default=None, ge=1, le=64)
    vllm: VllmOptions = VllmOptions()


class ServerSpeed(Plan):
    """How fast the server is that will run the merged model, as its owner knows it.

    ``time_to_first_token`` and ``time_per_output_token`` are seconds of one response at the load
    that is meant. They take the place of what is measured on this machine.
    """

    time_to_first_token: float = Field(ge=0.0, lt=3600.0)
    time_per_output_token: float = Field(gt=0.0, lt=3600.0)
