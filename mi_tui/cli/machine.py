"""What this machine is, found out without torch."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mi_tui import __version__
from mi_tui.plan.library import user_presets_folder
from mi_tui.study.folder import studies_folder

_PACKAGES = ("torch", "transformers", "accelerate", "textual", "vllm")


def describe_machine() -> dict[str, Any]:
    """Versions, processors, memory in GiB, GPUs, engines, colours and folders."""
    return {
        "mi_tui": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": [f"{name} {found}" for name in _PACKAGES if (found := _version(name))],
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "gpus": gpus(),
        "engines": [name for name in ("transformers", "vllm") if find_spec(name)],
        "terminal": os.environ.get("TERM", ""),
        "colours": _colours(),
        "over_ssh": any(name.startswith("SSH_") for name in os.environ),
        "studies": str(studies_folder()),
        "your_presets": str(user_presets_folder()),
        "free_disk_gib": round(_free_disk(studies_folder()) / 2**30, 1),
    }


def gpus() -> list[str]:
    """One line per NVIDIA GPU: name, memory in all and free."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = "--query-gpu=name,memory.total,memory.free"
    try:
        answer = subprocess.run(
            [program, query, "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _colours() -> str:
    if os.environ.get("NO_COLOR"):
        return "none (NO_COLOR is set)"
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return "16 million"
    return "256" if "256" in os.environ.get("TERM", "") else "16: --color truecolor if it has more"


def _free_disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
