"""Memory and cores are those that this process may use, not those of the whole host."""

import os
from pathlib import Path

import pytest

from mi_tui.machine.host import Memory, core_count, free_disk, kills_for_memory, main_memory

GIB = 1 << 30
UNLIMITED_V1 = 0x7FFFFFFFFFFFF000


def system(root: Path, files: dict[str, str]) -> Path:
    meminfo = f"MemTotal: {64 << 20} kB\nMemFree: 1 kB\nMemAvailable: {48 << 20} kB\n"
    for name, text in {"proc/meminfo": meminfo, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v2(group: str, limit: str, used: int = 0, stat: str = "anon 0\n") -> dict[str, str]:
    folder = f"sys/fs/cgroup/{group}".rstrip("/")
    return {
        f"{folder}/memory.max": limit,
        f"{folder}/memory.current": str(used),
        f"{folder}/memory.stat": stat,
    }


def test_without_limits_the_kernel_says_what_is_available(tmp_path: Path) -> None:
    assert main_memory(system(tmp_path, {})) == Memory(64 * GIB, 48 * GIB)


def test_a_containers_limit_counts_and_its_page_cache_does_not(tmp_path: Path) -> None:
    stat = f"anon {5 * GIB}\nfile {3 * GIB}\nshmem {GIB}\n"
    files = {"proc/self/cgroup": "0::/\n", **v2("", str(16 * GIB), 8 * GIB, stat)}
    assert main_memory(system(tmp_path, files)) == Memory(16 * GIB, 10 * GIB)


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user/job\n",
        **v2("user/job", "max"),
        **v2("user", str(8 * GIB), 6 * GIB),
        **v2("", "max"),
    }
    assert main_memory(system(tmp_path, files)) == Memory(8 * GIB, 2 * GIB)


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    """The path is the host's, where a container sees its own group at the top."""
    folder = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
        f"{folder}/memory.limit_in_bytes": str(4 * GIB),
        f"{folder}/memory.usage_in_bytes": str(3 * GIB),
        f"{folder}/memory.stat": f"cache 7\ntotal_cache {2 * GIB}\ntotal_shmem 0\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    root = system(tmp_path, files)
    assert main_memory(root) == Memory(4 * GIB, 3 * GIB)
    assert core_count(root) == 1
    (root / folder / "memory.limit_in_bytes").write_text(str(UNLIMITED_V1))
    (root / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us").write_text("-1\n")
    assert main_memory(root) == Memory(64 * GIB, 48 * GIB)
    assert core_count(root) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("limit", ["", "nonsense", "-5", "9" * 40])
def test_what_cannot_be_read_limits_nothing(limit: str, tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../up\nnonsense\n", **v2("", limit)}
    assert main_memory(system(tmp_path, files)) == Memory(64 * GIB, 48 * GIB)


def test_more_used_than_allowed_leaves_nothing(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", **v2("", str(GIB), 2 * GIB)}
    assert main_memory(system(tmp_path, files)).available == 0


def test_without_proc_the_system_is_asked(tmp_path: Path) -> None:
    found = main_memory(tmp_path)
    assert found.total > found.available > 0


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", 64), ("50000 100000", 1), ("150000 100000", 2), ("0 0", 64)]
)
def test_a_quota_limits_the_cores(quota: str, most: int, tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/job\n", "sys/fs/cgroup/job/cpu.max": quota}
    assert core_count(system(tmp_path, files)) == min(most, len(os.sched_getaffinity(0)))


def test_room_where_a_path_will_lie(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "not" / "yet") > 0


def test_kills_for_memory_are_read_from_both_kinds_of_control_groups(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/box"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/box\n")
    assert kills_for_memory(tmp_path) == 0
    (group / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert kills_for_memory(tmp_path) == 2
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 5\noom_kill 5\n")
    assert kills_for_memory(tmp_path) == 7
