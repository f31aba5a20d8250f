"""The note of a study: one line, harmless, kept beside the database."""

import os
from pathlib import Path

import pytest

from mi_tui.study.control import create_study, list_studies
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.note import LONGEST_NOTE, read_note, write_note
from tests.study.presets import small_preset


def test_a_note_is_kept_changed_and_taken_away(tmp_path: Path) -> None:
    folder = StudyFolder(create_study(small_preset(), tmp_path / "study"))
    before = folder.database.stat().st_mtime_ns
    write_note(folder.path, "first\n try  #qwen #qwen ")
    (entry,) = list_studies(tmp_path)
    assert (entry.note, entry.tags) == ("first try #qwen #qwen", ("qwen",))
    assert folder.database.stat().st_mtime_ns == before, "the list keeps its order"
    write_note(folder.path, "")
    assert read_note(folder) == ""
    assert not folder.note.exists()
    with pytest.raises(StudyError, match="at most 200 characters"):
        write_note(folder.path, "x" * (LONGEST_NOTE + 1))


def test_what_others_left_there_is_harmless(tmp_path: Path) -> None:
    folder = StudyFolder(create_study(small_preset(), tmp_path / "study"))
    folder.note.write_bytes(b"\x1b[31mred\xff" + b"x" * 100_000)
    assert "\x1b" not in read_note(folder)
    assert len(read_note(folder)) <= LONGEST_NOTE
    folder.note.unlink()
    os.mkfifo(folder.note)
    assert read_note(folder) == "", "a pipe holds up no list"
