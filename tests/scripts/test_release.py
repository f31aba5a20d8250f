"""What makes a release: builds that are the same, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / "scripts" / "release.py"


def run_python(code: str) -> str:
    start = f"import sys; sys.path.insert(0, {str(RELEASE.parent)!r}); from release import *"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}\n{code}"], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"a.whl": b"1", "b.whl": b"2"}, "same"),
        ({"a.whl": b"1", "b.whl": b"3"}, "two builds of b.whl differ"),
        ({"a.whl": b"1"}, "two builds of b.whl differ"),
    ],
)
def test_two_builds_are_compared_byte_by_byte(
    tmp_path: Path, second: dict[str, bytes], says: str
) -> None:
    for folder, files in (("first", {"a.whl": b"1", "b.whl": b"2"}), ("second", second)):
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content)
    code = f"require_same(Path({str(tmp_path)!r}) / 'first', Path({str(tmp_path)!r}) / 'second')"
    assert says in run_python(f"{code}; print('same')")


def test_a_broken_installation_is_named(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mi-tui").write_text("#!/bin/sh\necho broken >&2\nexit 7\n")
    (programs / "mi-tui").chmod(0o755)
    said = run_python(f"try_installed(Path({str(programs)!r}), Path({str(tmp_path)!r}))")
    assert said.endswith("mi-tui --version ended with 7: ['broken']")
