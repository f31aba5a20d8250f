"""σ in a process of its own: the same numbers, cancelled at once, errors in one line."""

from pathlib import Path

import pytest

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.relative_gap import relative_gap
from mi_tui.checkpoints.relative_gap_process import gap_from, measure_gap

SIDES = ("bundled:instruct", "bundled:thinking")


def test_the_process_measures_what_the_function_measures() -> None:
    told: list[tuple[int, int]] = []
    found = measure_gap(*SIDES, lambda done, total: told.append((done, total)), lambda: False)
    expected = relative_gap(*(inspect(locate(side)) for side in SIDES))
    assert found == expected
    assert found == gap_from(expected.as_dict())
    assert told[-1][0] == told[-1][1] > 0
    assert told == sorted(told)


def test_it_can_be_cancelled_before_it_says_anything() -> None:
    with pytest.raises(CheckpointError, match="cancelled"):
        measure_gap(*SIDES, lambda *_: None, lambda: True)


def test_weights_that_are_not_here_are_told_and_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        measure_gap(str(tmp_path / "none"), SIDES[1], lambda *_: None, lambda: False)


def test_measuring_leaves_no_process_behind() -> None:
    measure_gap(*SIDES, lambda *_: None, lambda: False)
    children = Path("/proc/self/task").glob("*/children")
    assert not any(
        b"sigma_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
        for file in children
        for pid in file.read_text().split()
        if Path(f"/proc/{pid}/cmdline").exists()
    )
