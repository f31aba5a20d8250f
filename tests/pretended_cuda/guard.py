"""The compiled device guard, without which torch cannot handle a pretended CUDA tensor."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import torch

_SOURCE = Path(__file__).with_name("guard.cpp")


def why_not() -> str:
    """Why the pretended device cannot be had here; empty where it can."""
    if torch.version.cuda is not None:
        return "this torch has CUDA's own device guard"
    if sys.platform != "linux":
        return "the device guard is compiled for Linux only"
    if compiler() is None:
        return "no C++ compiler"
    return ""


def compiler() -> str | None:
    """The C++ compiler's path, where there is one."""
    return shutil.which("g++") or shutil.which("clang++")


def load_guard(folder: Path) -> None:
    """Compile the guard against the installed torch and register it, for good, in this process.

    Raises:
        subprocess.CalledProcessError: it does not compile.
    """
    root = Path(torch.__file__).parent
    library = folder / "guard.so"
    found = compiler()
    assert found is not None
    abi = int(torch.compiled_with_cxx11_abi())
    subprocess.run(
        [
            *(found, "-shared", "-fPIC", "-std=c++20", "-O0"),
            *(f"-D_GLIBCXX_USE_CXX11_ABI={abi}", f"-I{root / 'include'}"),
            *(str(_SOURCE), "-o", str(library)),
            *(f"-L{root / 'lib'}", "-lc10", f"-Wl,-rpath,{root / 'lib'}"),
        ],
        check=True,
    )
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
