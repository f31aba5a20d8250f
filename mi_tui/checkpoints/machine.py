"""What this machine has, and whether a pair fits on it: asked of the system, without torch."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mi_tui.checkpoints.compare import Finding
from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.checkpoints.space import free_bytes
from mi_tui.sizes import in_bytes

_QUERY = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
_RUNTIME_SHARE = 0.15
"""Room beyond the weights for caches and activations; a rule of thumb, not a measurement."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator; sizes in bytes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The accelerators and main memory of this machine; sizes in bytes."""

    gpus: tuple[Gpu, ...]
    memory_total: int
    memory_free: int


def this_machine() -> Machine:
    """Ask the system; takes well under a second."""
    total, free = _main_memory(Path("/proc/meminfo"))
    return Machine(_gpus(), total, free)


def fit(
    instruct: CheckpointInfo, thinking: CheckpointInfo, machine: Machine, out: Path | None = None
) -> tuple[Finding, ...]:
    """Whether both checkpoints fit this machine's memory, and a merged one its disk.

    Running one merged model needs one side's weights, mixing in one pass both sides'. ``out`` is
    where a merge would be written; the working directory unless given.
    """
    both, single = instruct.nbytes + thinking.nbytes, max(instruct.nbytes, thinking.nbytes)
    return (_memory(both, single, machine), _disk(single, out or Path()))


def _memory(both: int, single: int, machine: Machine) -> Finding:
    need_both, need_single = (int(size * (1 + _RUNTIME_SHARE)) for size in (both, single))
    needs = (
        f"one merged model needs about {in_bytes(need_single)}, both sides {in_bytes(need_both)}"
    )
    if machine.gpus:
        free = sum(gpu.free for gpu in machine.gpus)
        where = f"{len(machine.gpus)} × {machine.gpus[0].name}, {in_bytes(free)} free"
    else:
        free = machine.memory_free
        where = f"no GPU found, {in_bytes(free)} of main memory free"
    if need_both <= free:
        return Finding("ok", "memory", f"{needs}; {where}")
    if need_single <= free:
        advice = "λ is switched in place, with the other side kept outside"
        return Finding("warning", "memory", f"{needs}; {where}: {advice}")
    return Finding("warning", "memory", f"{needs}; {where}: too little to run a merged model here")


def _disk(needed: int, out: Path) -> Finding:
    free = free_bytes(out)
    text = f"a merged checkpoint takes {in_bytes(needed)}; {in_bytes(free)} free"
    return Finding("ok" if needed <= free else "warning", "disk", text)


def _gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        answer = subprocess.run(
            [program, *_QUERY], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_gpus(answer.splitlines())


def parse_gpus(lines: Sequence[str]) -> tuple[Gpu, ...]:
    """The GPUs in nvidia-smi's lines of name, total MiB, free MiB; other lines are left out."""
    found = []
    for line in lines:
        name, *sizes = (part.strip() for part in line.rsplit(",", 2))
        if len(sizes) == 2 and all(size.isdecimal() for size in sizes):
            found.append(Gpu(name, int(sizes[0]) << 20, int(sizes[1]) << 20))
    return tuple(found)


def _main_memory(file: Path) -> tuple[int, int]:
    """Total and available main memory; zeros where the system does not say."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0, 0
    sizes = {}
    for line in lines:
        key, _, value = line.partition(":")
        number = value.split()
        if number and number[0].isdecimal():
            sizes[key] = int(number[0]) * 1024
    return sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
