"""Signals at every step of the commands that write: one line, no half file, and a repeat works."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from mi_tui.export.format import FORMATS
from mi_tui.paths import demo_pair_folder
from tests.cli.signalled import Case, Outcome
from tests.study.stored import stored_study

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
SAID = {
    signal.SIGTERM: (143, "mi-tui: ended by SIGTERM"),
    signal.SIGINT: (130, "mi-tui: stopped"),
    signal.SIGHUP: (129, "mi-tui: ended by SIGHUP"),
}


class Runner:
    """Runs commands in children of a process that has imported everything once."""

    def __init__(self, folder: Path) -> None:
        words = [sys.executable, "-m", "tests.cli.signalled", str(folder / "result.json")]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, case: Case) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(case)) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    found = Runner(tmp_path_factory.mktemp("runner"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_study(tmp_path_factory.mktemp("studies") / "sums")


def files(folder: Path) -> dict[str, bytes]:
    """What lies below a folder under names that a user sees."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:])
    }


def whole(folder: Path) -> dict[str, bytes]:
    """The same without what is plainly a part, and without a record, which comes before files."""
    return {
        name: content
        for name, content in files(folder).items()
        if not name.endswith(".part") and name != "export.json"
    }


TIMES = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[^\"<]*|\"(seconds|sha256)\": [^,\n]*"
"""What differs in two files that say the same: when they were written."""


def without_times(found: dict[str, bytes], place: str) -> dict[str, bytes]:
    """Files without what tells when and where they were written."""
    return {
        name: re.sub(TIMES, b"", content).replace(place.encode(), b"PLACE")
        for name, content in found.items()
    }


def commands(study: Path) -> dict[str, tuple[str, ...]]:
    """What is interrupted; ``OUT`` stands for the place to write to."""
    pair = demo_pair_folder()
    sides = ("--instruct", str(pair / "instruct"), "--thinking", str(pair / "thinking"))
    return {
        **{
            name: ("export", str(study), "--format", name, "--to", "OUT")
            for name in FORMATS.names()
        },
        "row": ("export", str(study), "--row", "MI-0.6", "--to", "OUT/row"),
        "merge": ("merge", *sides, "--lambda", "0.5", "OUT/merged"),
        "ablate": (
            "ablate",
            str(study),
            "--kind",
            "layers",
            "--lambda",
            "0.6",
            "--to",
            "OUT/ablation.toml",
        ),
    }


NAMES = tuple(name for name in FORMATS.names() if name not in ("report", "checkpoint"))


def interrupted(
    name: str, study: Path, runner: Runner, tmp_path: Path, steps: slice
) -> Iterator[tuple[int, signal.Signals]]:
    words = commands(study)[name]
    reference = tmp_path / "reference"

    def case(out: Path, step: int, how: int) -> Case:
        out.mkdir(parents=True, exist_ok=True)
        return Case(tuple(w.replace("OUT", str(out)) for w in words), str(out), step, how)

    done = runner.run(case(reference, 0, 0))
    assert done.status == 0, done.said
    assert done.steps > 2
    expected = without_times(whole(reference), "reference")
    for step in range(1, done.steps + 1)[steps]:
        for how in SIGNALS:
            out = tmp_path / f"{step}-{how.name}"
            found = runner.run(case(out, step, how))
            if how is signal.SIGKILL:
                assert found.status == -how
            elif found.status != 0:  # it may have been done already
                status, said = SAID[how]
                assert found.status == status
                (line,) = found.said.splitlines()[-1:]
                assert line.startswith(said)
                assert "Traceback" not in found.said
            left = without_times(whole(out), out.name)
            assert left.items() <= expected.items(), "half a file, or another one"
            if found.status != 0:
                again = runner.run(case(out, 0, 0))
                assert again.status == 0, again.said
            assert without_times(whole(out), out.name) == expected
            assert not [path for path in out.rglob("*") if ".part" in path.name]
            yield step, how


@pytest.mark.parametrize("name", ["csv"])
def test_a_signal_leaves_whole_files_or_none(
    name: str, study: Path, runner: Runner, tmp_path: Path
) -> None:
    assert list(interrupted(name, study, runner, tmp_path, slice(2, None, 3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_signal_at_any_step_leaves_whole_files_or_none(
    name: str, study: Path, runner: Runner, tmp_path: Path
) -> None:
    assert list(interrupted(name, study, runner, tmp_path, slice(None)))
