"""Compile the mixing kernel while the package is built, where there is a C compiler.

Without one, or with MI_TUI_PURE set, the wheel is pure Python and merges with NumPy: the same
bytes, in more time. An editable installation gets the library in the package's folder.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

SOURCE = Path("mi_tui/checkpoints/kernels/mixing_kernel.c")
LIBRARY = SOURCE.with_suffix(".so")
FLAGS = ("-O3", "-ffp-contract=off", "-fno-trapping-math", "-fPIC", "-shared")
COMPILERS = ("cc", "gcc", "clang")


class KernelHook(BuildHookInterface[Any]):
    """Adds the compiled kernel to a wheel, and tags the wheel with the platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the files are collected; nothing that goes wrong stops the build."""
        if self.target_name != "wheel":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="mi-tui-")
        library = Path(self._folder.name) / LIBRARY.name
        problem = compile_kernel(Path(self.root) / SOURCE, library)
        if problem:
            self.app.display_info(f"mi-tui is built without its compiled kernel: {problem}")
        if version == "editable":
            _replace(library, Path(self.root) / LIBRARY)
        elif not problem:
            build_data["force_include"][str(library)] = str(LIBRARY)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{_platform()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was compiled, now that it is in the wheel."""
        del version, build_data, artifact_path
        if self.target_name == "wheel":
            self._folder.cleanup()


def compile_kernel(source: Path, library: Path) -> str:
    """Compile the kernel; returns why it was not, or nothing."""
    if os.environ.get("MI_TUI_PURE"):
        return "MI_TUI_PURE is set"
    compiler = shlex.split(os.environ.get("CC", "")) or _compiler()
    if not compiler:
        return "there is no C compiler"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    command = [*compiler, *FLAGS, f'-DDIGEST="{digest}"', "-o", str(library), str(source)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except OSError as error:
        return f"{compiler[0]}: {error.strerror}"
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or ["it said nothing"]
        return f"{compiler[0]} failed: {said[0]}"
    return ""


def _compiler() -> list[str]:
    return [found for name in COMPILERS if (found := shutil.which(name))][:1]


def _replace(new: Path, old: Path) -> None:
    """Put ``new`` in the place of ``old``, which is removed even where there is nothing new.

    A process that has loaded the old library keeps it.
    """
    old.unlink(missing_ok=True)
    if new.exists():
        beside = old.with_suffix(f".{os.getpid()}.so")
        shutil.copyfile(new, beside)
        beside.replace(old)


def _platform() -> str:
    """This machine's platform, without a promise about other systems' libraries."""
    platforms = (tag.platform for tag in sys_tags())
    return next(name for name in platforms if "manylinux" not in name and "musllinux" not in name)
