"""The lock of a study: held by who may write it, seen by everyone."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.lock import acquire, has_locks, is_held, require_locks

_STRANGER = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "study.db").touch(0o644)
    (tmp_path / "preset.toml").touch()
    return tmp_path / "worker.lock"


@pytest.mark.parametrize(("database", "expected"), [(0o644, 0o600), (0o664, 0o660)])
def test_the_lock_can_be_opened_by_who_may_write_the_study(
    path: Path, database: int, expected: int
) -> None:
    path.touch()
    path.chmod(0o644)  # as it was made before
    path.with_name("study.db").chmod(database)
    os.close(acquire(path))
    assert path.stat().st_mode & 0o777 == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be someone else")
def test_a_stranger_sees_the_lock_and_cannot_hold_it(path: Path) -> None:
    for folder in (path.parent, *path.parent.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    program = (
        "import sys; from pathlib import Path; from mi_tui.study.storage.lock import is_held;"
        "import os; is_held(Path('/nowhere'));"
        f"os.seteuid({_STRANGER}); path = Path(sys.argv[1]); print(is_held(path));"
        "os.open(path, os.O_RDONLY)"
    )
    held = acquire(path)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
        )
    finally:
        os.close(held)
    assert ran.stdout == "True\n", ran.stderr
    assert "PermissionError" in ran.stderr


def test_a_planted_link_is_not_opened(path: Path) -> None:
    path.symlink_to(path.with_name("preset.toml"))
    with pytest.raises(StudyError, match="cannot lock"):
        acquire(path)


@pytest.mark.parametrize("number", [37, 38, 95])
def test_a_file_system_without_locks_is_one_line(
    path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    assert has_locks(path.with_name("study.db"))
    monkeypatch.setattr(fcntl, "flock", lacking)
    assert not has_locks(path.with_name("study.db"))
    with pytest.raises(StudyError, match=r"has no locks: keep studies on a local disk"):
        require_locks(path.with_name("study.db"))
    with pytest.raises(StudyError, match="MI_TUI_STUDIES"):
        acquire(path)
    path.touch()
    assert not is_held(path)
