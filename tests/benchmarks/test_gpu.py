"""The GPU benchmark's logic, at a tiny shape on the CPU."""

import sys

import pytest

from benchmarks import gpu


def test_it_prints_every_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = "--device cpu --shape tiny --dtype float32 --k 1 2 --tokens 4 --context 64"
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments.split()])
    gpu.main()
    printed = capsys.readouterr().out
    assert printed.count(" × |") == 2
    assert "switch" in printed
    assert printed.count("| one pass | ") == 2
    assert printed.count("| context ") == 2
    assert "Error" not in printed
