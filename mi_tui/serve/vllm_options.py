"""vLLM's own options that a user passes on: which are taken, refused, or looked at."""

from collections.abc import Sequence
from typing import Any

from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import EnginePlan, VllmOptions

_OURS = "mi-tui serve sets it"
REFUSED = {
    "--model": _OURS,
    "--tokenizer": _OURS,
    "--hf-config-path": _OURS,
    "--load-format": _OURS,
    "--worker-extension-cls": _OURS,
    "--additional-config": _OURS,
    "--logits-processors": _OURS,
    "--served-model-name": "write --name before --",
    "--host": "write it before --",
    "--port": "write it before --",
    "--quantization": "quantised layers cannot be mixed",
    "-q": "quantised layers cannot be mixed",
    "--speculative-config": "drafts were never checked with λ per request",
    "-sc": "drafts were never checked with λ per request",
    "--grpc": "λ is read from HTTP requests",
    "--config": "write its options behind -- one by one",
    "--uds": "λ is read from HTTP requests, at a port",
}
"""What cannot be passed on, and why."""

_NUMBERS = {
    "--tensor-parallel-size": "tensor_parallel_size",
    "-tp": "tensor_parallel_size",
    "--pipeline-parallel-size": "pipeline_parallel_size",
    "-pp": "pipeline_parallel_size",
    "--data-parallel-size": "data_parallel_size",
    "-dp": "data_parallel_size",
    "--gpu-memory-utilization": "gpu_memory_utilization",
}
"""What the memory plan has to know."""


def require_usable(options: Sequence[str]) -> None:
    """Refuse options that would serve something else than the plan says.

    Args:
        options: what stands behind ``--``.

    Raises:
        MiTuiError: which, and why.
    """
    for option in options:
        if (meant := _refused(_name(option))) is not None:
            raise MiTuiError(f"{option.partition('=')[0]} behind --: {REFUSED[meant]}")


def _refused(name: str) -> str | None:
    """The refused option that a name stands for; vLLM takes any beginning of one, too."""
    if name.startswith("--"):
        return next((one for one in REFUSED if len(name) > 2 and one.startswith(name)), None)
    if name.startswith("-q"):  # its value may follow without a space
        return "-q"
    return name if name in REFUSED else None


def with_sizes(plan: EnginePlan, options: Sequence[str]) -> EnginePlan:
    """The plan with the sizes that options set, for the memory plan.

    Raises:
        MiTuiError: a size is not what vLLM takes.
    """
    said: dict[str, Any] = {}
    for at, option in enumerate(options):
        key = _NUMBERS.get(_name(option))
        if key is None:
            continue
        own = option.partition("=")[2] or (options[at + 1] if at + 1 < len(options) else "")
        try:
            said[key] = float(own) if key == "gpu_memory_utilization" else int(own)
        except ValueError:
            raise MiTuiError(f"{option} behind --: a number must follow, not {own!r}") from None
    if not said:
        return plan
    try:
        sizes = VllmOptions.model_validate({**plan.vllm.model_dump(), **said})
    except ValueError:
        raise MiTuiError(f"behind --: vLLM takes no such size ({said})") from None
    return plan.model_copy(update={"vllm": sizes})


def has(options: Sequence[str], name: str) -> bool:
    """Whether an option is among those that are passed on."""
    return any(_name(option) == name for option in options)


def _name(option: str) -> str:
    """An option as vLLM's parser sees it: without its value, dashes for underscores, and without
    the keys of a JSON value (``--additional-config.mi_tui=…``)."""
    name = option.partition("=")[0].partition(".")[0]
    return name.replace("_", "-") if name.startswith("--") else name
