"""The GPUs are those that CUDA would show, and what cannot be found out is said."""

import os
import sys
import time
from pathlib import Path

import pytest

from mi_tui.machine import gpus
from mi_tui.machine.gpus import Gpu, parse_parts, parse_rows, visible, visible_gpus
from mi_tui.machine.host import Memory
from mi_tui.machine.resources import this_machine

MIB = 1 << 20
MEMORY = Memory(128 << 30, 100 << 30)
ONE, TWO = (Gpu("H100", 80, 80, uuid=f"GPU-{name}") for name in ("aaa1", "aab2"))
PART, OTHER_PART = (Gpu("MIG 3g.40gb", 40, 40, uuid=f"MIG-{name}") for name in ("c1", "c2"))


def smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_rows_are_read_in_every_form() -> None:
    lines = [
        "NVIDIA H200, 143771, 143000",
        "NVIDIA A100-SXM4, 40GB, 40960, 100",
        "GPU-12ab, NVIDIA H100, Disabled, 81559, 80000",
        "",
    ]
    rows, odd = parse_rows(lines, MEMORY)
    assert [row.gpu for row in rows] == [
        Gpu("NVIDIA H200", 143771 * MIB, 143000 * MIB),
        Gpu("NVIDIA A100-SXM4, 40GB", 40960 * MIB, 100 * MIB),
        Gpu("NVIDIA H100", 81559 * MIB, 80000 * MIB, uuid="GPU-12ab"),
    ]
    assert not odd


def test_a_gpu_without_memory_of_its_own_has_the_systems() -> None:
    (row,), odd = parse_rows(["GPU-1, NVIDIA GB10, [N/A], [N/A], [N/A]"], MEMORY)
    assert row.gpu == Gpu("NVIDIA GB10", MEMORY.total, MEMORY.available, True, "GPU-1")
    assert not odd


@pytest.mark.parametrize(
    "line",
    ["No devices", ",", "A, -1, 2", "A, 1, [Unknown Error]", "x" * 500, "A, 1\x1b[31m, two"],
)
def test_an_odd_row_is_left_out_and_told(line: str) -> None:
    rows, odd = parse_rows([line, "NVIDIA T4, 15360, 15000"], MEMORY)
    assert [row.gpu.name for row in rows] == ["NVIDIA T4"]
    assert "nvidia-smi says" in odd
    assert odd.isprintable()
    assert len(odd) < 200


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        (None, (ONE, TWO)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("1", (TWO,)),
        (" 1 , 0 ", (TWO, ONE)),
        ("0,7,1", (ONE,)),
        ("0,0", ()),
        ("GPU-aab", (TWO,)),
        ("GPU-aaa1,1", (ONE, TWO)),
        ("GPU-aa", ()),
    ],
)
def test_what_cuda_hides_is_hidden(setting: str | None, shown: tuple[Gpu, ...]) -> None:
    assert visible(setting, [ONE, TWO], [ONE, TWO], []) == shown


@pytest.mark.parametrize(
    ("setting", "shown"),
    [(None, (PART,)), ("MIG-c2", (OTHER_PART,)), ("MIG-c1,MIG-c2", (PART,)), ("0", (PART,))],
)
def test_one_part_of_a_divided_gpu_is_shown(setting: str | None, shown: tuple[Gpu, ...]) -> None:
    assert visible(setting, [ONE], [], [PART, OTHER_PART]) == shown


LISTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89)
  MIG 3g.20gb     Device  0: (UUID: MIG-b5ba)
  MIG 1g.5gb+me   Device  1: (UUID: MIG-77aa)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-0001)
"""


def test_the_parts_of_a_gpu_are_read() -> None:
    assert parse_parts(LISTED.splitlines()) == {
        "GPU-5c89": [
            Gpu("MIG 3g.20gb", 20 * 10**9, 20 * 10**9, uuid="MIG-b5ba"),
            Gpu("MIG 1g.5gb+me", 5 * 10**9, 5 * 10**9, uuid="MIG-77aa"),
        ]
    }


def test_a_divided_gpu_counts_as_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = "GPU-5c89, NVIDIA A100-SXM4-40GB, Enabled, 40536, 40000"
    script = f"case $1 in -L) cat <<'END'\n{LISTED}END\n;; *) echo '{row}';; esac"
    smi(tmp_path, monkeypatch, script)
    found = visible_gpus(MEMORY)
    assert [gpu.name for gpu in found.gpus] == ["MIG 3g.20gb"]
    assert not found.problem


def test_a_container_that_was_given_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ", ".join(["[Insufficient Permissions]"] * 5)
    script = f"case $1 in -L) cat <<'END'\n{LISTED}END\n;; *) echo '{row}';; esac"
    smi(tmp_path, monkeypatch, script)
    assert [gpu.name for gpu in visible_gpus(MEMORY).gpus] == ["MIG 3g.20gb"]
    assert not visible_gpus(MEMORY).problem
    smi(tmp_path, monkeypatch, f"echo '{row}'")
    assert not visible_gpus(MEMORY).gpus
    assert "Insufficient Permissions" in visible_gpus(MEMORY).problem


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 9", "exit status 9"),
        ("echo 'Failed to initialize NVML'; exit 18", "Failed to initialize NVML"),
        ("echo 'no driver' >&2; exit 1", "no driver"),
        ("kill -9 $$", "exit status -9"),
    ],
)
def test_a_failure_is_told(
    script: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, monkeypatch, script)
    machine = this_machine()
    assert machine.gpus == ()
    assert machine.gpu_problem == f"nvidia-smi failed: {problem}"
    assert machine.memory_total >= machine.memory_free > 0
    assert machine.cores >= 1


def test_no_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch, f"exec {sys.executable} -c 'import time; time.sleep(60)'")
    monkeypatch.setattr(gpus, "_SECONDS", 0.2)
    begin = time.monotonic()
    assert "no answer" in visible_gpus(MEMORY).problem
    assert time.monotonic() - begin < 30


def test_a_machine_without_nvidia_smi_has_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus(MEMORY) == gpus.GpuRows()
