"""A description of this machine, without torch."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from mi_tui import __version__
from mi_tui.checkpoints.kernels.compiled_kernel import kernel_name
from mi_tui.machine.host import free_disk
from mi_tui.machine.resources import this_machine
from mi_tui.plan.library import user_presets_folder
from mi_tui.study.storage.folder import studies_folder
from mi_tui.text.sizes import GIB

_PACKAGES = ("torch", "transformers", "accelerate", "textual")


def describe_machine() -> dict[str, Any]:
    """Versions, processors, memory in GiB, GPUs, engines, kernel, colours and folders."""
    machine = this_machine()
    return {
        "mi_tui": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": [f"{name} {found}" for name in _PACKAGES if (found := _version(name))],
        "cores": machine.cores,
        "memory_gib": round(machine.memory_total / GIB, 1),
        "gpus": [
            f"{gpu.name}, {gpu.total / GIB:.0f} GiB, {gpu.free / GIB:.0f} free"
            + (", shared with the system" if gpu.unified else "")
            for gpu in machine.gpus
        ],
        **({"gpu_problem": machine.gpu_problem} if machine.gpu_problem else {}),
        "engines": [name for name in ("transformers", "vllm") if find_spec(name)],
        "merge_kernel": kernel_name(),
        "terminal": os.environ.get("TERM", ""),
        "colours": _colours(),
        "over_ssh": any(name.startswith("SSH_") for name in os.environ),
        "studies": str(studies_folder()),
        "your_presets": str(user_presets_folder()),
        "free_disk_gib": round(free_disk(studies_folder()) / GIB, 1),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _colours() -> str:
    if os.environ.get("NO_COLOR"):
        return "none (NO_COLOR is set)"
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return "16 million"
    return "256" if "256" in os.environ.get("TERM", "") else "16: --color truecolor if it has more"
