"""The plan of an engine: its kind, its device, and the options of vLLM."""

from typing import Literal

from pydantic import Field

from mi_tui.plan.base import Plan


class VllmOptions(Plan):
    """How vLLM spreads and holds the model; the names are vLLM's own.

    ``executor`` says how vLLM starts its ranks: as processes of this machine (``mp``), or through
    a running Ray cluster, which may span nodes. ``tensor_parallel_size`` is the number of GPUs
    that share one model, ``data_parallel_size`` the number of copies (``None``: as the plan of
    memory says, so that every GPU works). ``gpu_memory_utilization`` is the share of each
    GPU's memory that vLLM takes, ``max_model_len`` the longest prompt and response together
    (``None``: as long as model and memory allow). ``enforce_eager`` does without compilation and
    CUDA graphs (``None``: on CPUs). ``kv_cache_dtype`` is that of the KV cache: ``fp8`` halves it,
    on GPUs that have fp8, and changes responses a little.
    """

    tensor_parallel_size: int | None = Field(default=None, ge=1)
    pipeline_parallel_size: int = Field(default=1, ge=1)
    data_parallel_size: int | None = Field(default=None, ge=1)
    executor: Literal["auto", "mp", "ray"] = "auto"
    gpu_memory_utilization: float | None = Field(default=None, gt=0.0, le=1.0)
    max_model_len: int | None = Field(default=None, ge=1)
    enforce_eager: bool | None = None
    # Left out where it says nothing: stored studies are found by the key of what they write.
    kv_cache_dtype: Literal["auto", "fp8"] = Field(
        default="auto", exclude_if=lambda value: value == "auto"
    )

    @property
    def ranks(self) -> int:
        """How many ranks are asked for in all; what is left to the plan of memory counts once."""
        data, tensor = self.data_parallel_size or 1, self.tensor_parallel_size or 1
        return data * tensor * self.pipeline_parallel_size


class EnginePlan(Plan):
    """Which engine generates, and how.

    ``kind``: ``auto`` takes vLLM where it is installed, a GPU is there, the pair can run on it and
    responses may be long, else transformers; a study keeps what was chosen. ``mode``: ``one-pass``
    evaluates rows of different λ in one batch, ``in-place`` switches the weights, ``auto`` takes
    the cheaper of the two. ``batch`` is the number of rows generated at once (``None``: from free
    memory). ``processes`` is the number of engine processes (``None``: one for each GPU where the
    model fits on one, else a single one). ``vllm`` is read where vLLM generates.
    """

    kind: Literal["auto", "transformers", "vllm"] = "auto"
    mode: Literal["auto", "one-pass", "in-place"] = "auto"
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    processes: int | None = Field(default=None, ge=1, le=64)
    vllm: VllmOptions = VllmOptions()

    @property
    def spelled_out(self) -> "EnginePlan":
        """The same as before anything was chosen or planned: transformers, and one rank each.

        What was written before there was a choice says so, and so keeps its key.
        """
        vllm = self.vllm
        once = {
            "tensor_parallel_size": vllm.tensor_parallel_size or 1,
            "data_parallel_size": vllm.data_parallel_size or 1,
        }
        kind = "transformers" if self.kind == "auto" else self.kind
        return self.model_copy(update={"kind": kind, "vllm": vllm.model_copy(update=once)})


class ServerSpeed(Plan):
    """How fast the server is that will run the merged model, as its owner knows it.

    ``time_to_first_token`` and ``time_per_output_token`` are seconds of one response at the load
    that is meant. They take the place of what is measured on this machine.
    """

    time_to_first_token: float = Field(ge=0.0, lt=3600.0)
    time_per_output_token: float = Field(gt=0.0, lt=3600.0)
