"""Reads, writes, syncs, locks and maps that fail at any moment: one line, and nothing is lost."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mi_tui.study.reader import StudyReader
from tests.study.stored import stored_study

Ask = Callable[[str, Path, str, int, int], tuple[int, str]]

FAILURES = {
    "read": (errno.EIO,),
    "write": (errno.EIO, errno.ENOSPC),
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("calls are made to fail by a library that is compiled and preloaded")
    shim = tmp_path_factory.mktemp("shim") / "failing_disk.so"
    source = Path(__file__).with_name("failing_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(shim), str(source), "-ldl"], check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.study.storage.failing_disk"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LD_PRELOAD": str(shim)},
    )

    def asked(what: str, study: Path, kind: str, calls: int, error: int) -> tuple[int, str]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([what, str(study), kind, calls, error]) + "\n")
        process.stdin.flush()
        status, said = json.loads(process.stdout.readline())
        return status, said

    yield asked
    process.communicate()


def rollouts(study: Path) -> int:
    with closing(sqlite3.connect(study / "study.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(db.execute("SELECT COUNT(*) FROM rollouts").fetchone()[0])


@pytest.mark.parametrize("kind", ["read", "write"])
@pytest.mark.parametrize("what", ["studies", "table", "log", "write"])
def test_a_disk_that_fails_is_told_in_one_line_and_loses_nothing(
    what: str, kind: str, ask: Ask, tmp_path: Path
) -> None:
    whole = stored_study(tmp_path / "whole" / "study")
    had, failed = rollouts(whole), 0
    for error in FAILURES[kind]:
        for calls in (0, 2, 8, 34):
            study = tmp_path / f"{error}-{calls}" / "study"
            shutil.copytree(whole, study)
            status, said = ask(what, study, kind, calls, error)
            assert status in (0, 2), said
            assert len(said.splitlines()) == (1 if status else 0), said
            if status:
                assert said.startswith("mi-tui: ")
                failed += 1
            assert rollouts(study) in (had, had + 20), "a transaction is whole or not there"
            with StudyReader(study) as reader:
                assert reader.view().rows
    if what == "write" and kind in ("read", "write"):
        assert failed
