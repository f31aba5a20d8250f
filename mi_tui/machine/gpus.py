"""The GPUs that a process started here would see, as ``nvidia-smi`` tells them."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mi_tui.machine.host import Memory

_QUERY = (
    "--query-gpu=uuid,name,mig.mode.current,memory.total,memory.free",
    "--format=csv,noheader,nounits",
)
_SECONDS = 10
_MOST_WORDS = 120
_GPU_LINE = re.compile(r"GPU \d+: .*\(UUID: (GPU-[^)\s]+)\)")
_MIG_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)\s]+)\)")
_MIG_SIZE = re.compile(r"(\d+)gb\b")
_MIG_MODES = ("Enabled", "Disabled", "[N/A]", "N/A")
_UNKNOWN = ("[N/A]", "N/A", "[Not Supported]")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One accelerator; sizes in bytes.

    ``unified``: it has no memory of its own, and its sizes are main memory's. ``uuid`` is empty
    where nobody told it.
    """

    name: str
    total: int
    free: int
    unified: bool = False
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class GpuRows:
    """What a list of GPUs holds; ``problem`` says in one line what could not be found out."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One line of ``nvidia-smi``; of a GPU that is divided into MIG parts, only those are used."""

    gpu: Gpu
    is_partitioned: bool


class _NoAnswerError(Exception):
    """``nvidia-smi`` gave no answer; the message says why."""


def visible_gpus(memory: Memory) -> GpuRows:
    """Ask ``nvidia-smi``, and leave out what ``CUDA_VISIBLE_DEVICES`` hides.

    Numbers there are taken in the order of ``nvidia-smi``; CUDA may number GPUs of several kinds
    otherwise unless ``CUDA_DEVICE_ORDER`` is ``PCI_BUS_ID``.

    Args:
        memory: main memory, which is also the GPU's where that is unified.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return GpuRows()
    try:
        rows, problem = parse_rows(_ask(program, *_QUERY), memory)
        parts: dict[str, list[Gpu]] = {}
        if problem or any(row.is_partitioned for row in rows):
            parts = parse_parts(_ask(program, "-L"))
    except _NoAnswerError as error:
        return GpuRows((), f"nvidia-smi failed: {error}")
    if not rows and parts:
        problem = ""  # only the parts may be read, as in a container that was given one
    whole = [row.gpu for row in rows if not row.is_partitioned]
    pieces = [piece for found in parts.values() for piece in found]
    listed = [row.gpu for row in rows]
    shown = visible(os.environ.get("CUDA_VISIBLE_DEVICES"), listed, whole, pieces)
    return GpuRows(shown, problem)


def parse_rows(lines: Sequence[str], memory: Memory) -> tuple[list[GpuRow], str]:
    """The GPUs in lines of (uuid, name, MIG mode,) total MiB, free MiB, and what was odd.

    A GPU whose sizes are ``[N/A]`` shares main memory. Lines that cannot be read are left out,
    and the first of them is told.
    """
    rows, odd = [], ""
    for line in filter(str.strip, lines):
        row = _row(line, memory)
        if row is not None:
            rows.append(row)
        elif not odd:
            odd = f"nvidia-smi says {_harmless(line)!r}, which tells no memory"
    return rows, odd


def parse_parts(lines: Sequence[str]) -> dict[str, list[Gpu]]:
    """The MIG parts of each GPU by its UUID, in the output of ``nvidia-smi -L``.

    Their sizes are those that their names tell (``3g.40gb``), all of it taken as free.
    """
    parts: dict[str, list[Gpu]] = {}
    now: list[Gpu] = []
    for line in lines:
        if whole := _GPU_LINE.match(line):
            now = parts.setdefault(whole[1], [])
        elif part := _MIG_LINE.match(line):
            size = _MIG_SIZE.search(part[1])
            if size is not None:
                total = int(size[1]) * 10**9
                now.append(Gpu(f"MIG {part[1]}", total, total, uuid=part[2]))
    return {uuid: found for uuid, found in parts.items() if found}


def visible(
    setting: str | None, listed: Sequence[Gpu], whole: Sequence[Gpu], parts: Sequence[Gpu]
) -> tuple[Gpu, ...]:
    """The GPUs that CUDA shows, by the rules for ``CUDA_VISIBLE_DEVICES``.

    Numbers or beginnings of UUIDs, in any order; the list ends at the first that is none, and
    one GPU twice means none. CUDA never shows more than one MIG part to a process.
    (docs.nvidia.com/cuda/cuda-c-programming-guide, "Environment variables"; the MIG user guide.)

    Args:
        setting: the variable's value; ``None`` where it is not set.
        listed: all GPUs in the order of their numbers.
        whole: those that are not divided into parts.
        parts: the MIG parts.
    """
    if setting is None:
        return tuple(whole) or tuple(parts[:1])
    found: list[Gpu] = []
    for word in setting.split(","):
        gpu = _named(word.strip(), listed, parts)
        if gpu is None:
            break
        if gpu in parts:
            return (gpu,)
        if gpu not in whole:  # a number or UUID of a GPU in parts means its first
            return tuple(parts[:1])
        found.append(gpu)
    if len({id(gpu) for gpu in found}) < len(found):
        return ()
    return tuple(found)


def _named(word: str, listed: Sequence[Gpu], parts: Sequence[Gpu]) -> Gpu | None:
    if word.isdecimal():
        return listed[int(word)] if int(word) < len(listed) else None
    if not word.startswith(("GPU-", "MIG-")):
        return None
    matching = [gpu for gpu in (*listed, *parts) if gpu.uuid.startswith(word)]
    return matching[0] if len(matching) == 1 else None


def _row(line: str, memory: Memory) -> GpuRow | None:
    words = [word.strip() for word in line.split(",")]
    if len(words) < 3:
        return None
    free, total = words.pop(), words.pop()
    uuid = words.pop(0) if words[0].startswith("GPU-") and len(words) > 1 else ""
    mode = words.pop() if len(words) > 1 and words[-1] in _MIG_MODES else ""
    name = _harmless(", ".join(words))
    gpu = Gpu(name, 0, 0, uuid=uuid)
    partitioned = mode == "Enabled"
    if total.isdecimal() and free.isdecimal():
        return GpuRow(replace(gpu, total=int(total) << 20, free=int(free) << 20), partitioned)
    if partitioned:
        return GpuRow(gpu, partitioned)
    if total in _UNKNOWN and free in _UNKNOWN and not name.startswith("["):
        shared = replace(gpu, total=memory.total, free=memory.available, unified=True)
        return GpuRow(shared, partitioned)
    return None


def _ask(program: str, *arguments: str) -> list[str]:
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _NoAnswerError(f"no answer in {_SECONDS} seconds") from None
    except OSError as error:
        raise _NoAnswerError(error.strerror or str(error)) from error
    if done.returncode != 0:
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        raise _NoAnswerError(_harmless(said[0]) if said else f"exit status {done.returncode}")
    return done.stdout.splitlines()


def _harmless(text: str) -> str:
    """One short line without anything that a terminal would obey."""
    shown = "".join(character for character in text if character.isprintable()).strip()
    return shown if len(shown) <= _MOST_WORDS else shown[: _MOST_WORDS - 1] + "…"
