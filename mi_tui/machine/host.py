"""Main memory, cores and free disk, within a container's limits.

Limits are read as the kernel documents them: docs.kernel.org/admin-guide/cgroup-v2.html
(``memory.max``, ``cpu.max``) and cgroup-v1/memory.html (``memory.limit_in_bytes``).
"""

import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_CPU_CONTROLLER = "cpu"
_MEMORY_CONTROLLER = "memory"


@dataclass(frozen=True, slots=True)
class Memory:
    """Main memory in bytes: all of it, and what can still be allocated without swapping."""

    total: int
    available: int


def main_memory(root: Path = Path("/")) -> Memory:
    """The system's memory, or the tightest limit of the control groups that hold this process.

    Args:
        root: where ``proc`` and ``sys`` lie; tests give a folder of their own.
    """
    total, available = _system_memory(root)
    for group in _groups(root, _MEMORY_CONTROLLER):
        limit = _number(group / "memory.max", group / "memory.limit_in_bytes")
        if limit is None or limit >= total:
            continue
        used = _number(group / "memory.current", group / "memory.usage_in_bytes") or 0
        total = limit
        available = min(available, max(0, limit - used + _page_cache(group)))
    return Memory(total, available)


def core_count(root: Path = Path("/")) -> int:
    """How many cores this process may keep busy: its affinity, and its control groups' quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    for group in _groups(root, _CPU_CONTROLLER):
        quota = _cpu_quota(group)
        if quota is not None:
            cores = min(cores, max(1, math.ceil(quota)))
    return cores


def kills_for_memory(root: Path = Path("/")) -> int:
    """How many processes the control groups of this one have lost for want of memory.

    Source: ``oom_kill`` of ``memory.events`` (docs.kernel.org/admin-guide/cgroup-v2.html), or of
    ``memory.oom_control`` (cgroup-v1/memory.html); and ``oom_kill`` of ``/proc/vmstat``, of the
    whole system.
    """
    kills = _fields(root / "proc/vmstat").get("oom_kill", 0)
    for group in _groups(root, _MEMORY_CONTROLLER):
        for name in ("memory.events", "memory.oom_control"):
            kills += _fields(group / name).get("oom_kill", 0)
    return kills


def free_disk(path: Path) -> int:
    """The bytes a user may still write where ``path`` lies or would be created."""
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _system_memory(root: Path) -> tuple[int, int]:
    fields = _fields(root / "proc/meminfo", separator=":")
    if "MemTotal" in fields:
        total = fields["MemTotal"] * 1024
        return total, min(total, fields.get("MemAvailable", fields.get("MemFree", 0)) * 1024)
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0, 0
    return total, total // 2  # no word on what is in use


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the control groups that hold this process, from the inmost outwards.

    In a container the path may be the one outside, which does not exist here: the group that is
    mounted at the top is then the container's own.
    """
    mount = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, inside = rest.partition(":")
        if not controllers:
            top = mount
        elif controller in controllers.split(","):
            top = mount / controllers
            top = top if top.is_dir() else mount / controller
        else:
            continue
        path = PurePosixPath(inside.strip().lstrip("/"))
        for part in (path, *path.parents):
            if ".." not in part.parts and (folder := top / part).is_dir():
                yield folder


def _cpu_quota(group: Path) -> float | None:
    """Cores' worth of time per period; ``None`` where there is no limit."""
    line = next(iter(_lines(group / "cpu.max")), "")
    words = line.split()
    if len(words) == 2 and all(word.isdecimal() for word in words):
        quota, period = map(int, words)
    else:
        quota = _number(group / "cpu.cfs_quota_us") or 0
        period = _number(group / "cpu.cfs_period_us") or 0
    return quota / period if quota > 0 and period > 0 else None


def _page_cache(group: Path) -> int:
    """Bytes of files that the kernel gives back when memory is asked for."""
    fields = _fields(group / "memory.stat")
    files = fields.get("total_cache", fields.get("file", fields.get("cache", 0)))
    return max(0, files - fields.get("total_shmem", fields.get("shmem", 0)))


def _number(*files: Path) -> int | None:
    """The number in the first of these files that holds one."""
    for file in files:
        text = "".join(_lines(file)).strip()
        if text.isdecimal():
            return int(text)
    return None


def _fields(file: Path, separator: str | None = None) -> dict[str, int]:
    """The lines of a name and a number; others are left out."""
    found = {}
    for line in _lines(file):
        name, *rest = line.split(separator, 1)
        value = rest[0].split() if rest else []
        if value and value[0].isdecimal():
            found[name] = int(value[0])
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
