"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest

from mi_tui.whole_files import write_whole


def test_a_file_is_replaced_whole_and_may_be_run(tmp_path: Path) -> None:
    path = tmp_path / "serve.sh"
    write_whole(path, "old")
    write_whole(path, "#!/bin/sh\necho λ\n", executable=True)
    assert path.read_text(encoding="utf-8") == "#!/bin/sh\necho λ\n"
    assert os.access(path, os.X_OK)
    assert list(tmp_path.iterdir()) == [path]


def test_a_planted_part_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "a.part").symlink_to(precious)
    write_whole(tmp_path / "a", "new")
    assert precious.read_text() == "mine"


def test_a_link_planted_again_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "a.part").symlink_to(precious)
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", "new")
    assert precious.read_text() == "mine"


def test_a_failed_writing_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a", "new")
    assert not list(tmp_path.iterdir())
