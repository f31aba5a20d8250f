"""The load of the GPUs: as told, or nothing."""

from pathlib import Path

import pytest

from mi_tui.machine.gpu_load import GpuLoad


def program(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def read(load: GpuLoad) -> str:
    load.words()
    load.wait()
    return load.words()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 83", "83 % busy"),
        ("echo 0; echo 100", "50 % busy"),
        ("echo '[N/A]'", ""),
        ("echo 9999", ""),
        ("echo 50; exit 9", ""),
        ("true", ""),
    ],
)
def test_the_load_is_told_or_nothing(tmp_path: Path, script: str, words: str) -> None:
    assert read(GpuLoad(program(tmp_path, script))) == words


def test_only_the_gpus_that_are_visible_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    only = program(tmp_path, 'case "$*" in *--id=2,3*) echo 40;; *) echo 90;; esac')
    assert read(GpuLoad(only)) == "40 % busy"


def test_without_the_program_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert read(GpuLoad()) == ""
