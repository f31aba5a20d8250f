"""The part of an engine's plan that is vLLM's own: ``[engine.vllm]`` in a preset."""

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
