"""The device, dtype and number of threads that an engine plan means on this machine."""

import torch

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.protocol import EngineError
from mi_tui.plan.engine import EnginePlan
from mi_tui.text.plurals import counted

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


_IN_FILES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def device_of(plan: EnginePlan) -> torch.device:
    """The device; ``auto`` is the first GPU, or else the CPU.

    Raises:
        EngineError: torch does not know the device, or this machine has none.
    """
    if plan.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(plan.device)
        torch.empty(0, device=device)
    # A torch without CUDA says so by an AssertionError.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EngineError(
            f"device {plan.device!r} cannot be used here: write auto, cpu, cuda or cuda:N"
        ) from error
    return device


def dtype_of(plan: EnginePlan, device: torch.device) -> torch.dtype:
    """The dtype; ``auto`` is float32 on a CPU, else bfloat16 where the GPU has it."""
    if plan.dtype != "auto":
        return _DTYPES[plan.dtype]
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def dtype_of_files(info: CheckpointInfo) -> torch.dtype | None:
    """The dtype of most of a checkpoint's elements; ``None`` where it is none we mix in."""
    return next((_IN_FILES.get(name) for name in info.dtypes), None)


def dtype_name(dtype: torch.dtype) -> str:
    """The dtype as presets write it."""
    return str(dtype).removeprefix("torch.")


def use_threads(plan: EnginePlan) -> None:
    """Let torch use as many threads as the plan says, if it says."""
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)


def device_name(device: torch.device) -> str:
    """The device as people know it: ``cpu (2 threads)`` or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device} ({counted(torch.get_num_threads(), 'thread')})"
