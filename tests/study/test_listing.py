"""The list of studies reads what has changed, and says what the full list says."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mi_tui.study import listing
from mi_tui.study.control import list_studies
from mi_tui.study.listing import StudyListing
from mi_tui.study.storage.facts import keep
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.lock import acquire
from mi_tui.study.storage.note import write_note
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyEntry, StudyState
from tests.study.stored import stored_study

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if _opened is not None and event in ("open", "sqlite3.connect"):
        _opened.append(str(arguments[0]))


sys.addaudithook(_note)


@contextmanager
def opens() -> Iterator[list[str]]:
    """The files that are opened meanwhile, by Python or by SQLite."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(listing, "_SETTLED_SECONDS", 0.0)
    folder = tmp_path / "studies"
    first = stored_study(folder / "a")
    for name in "bcdefgh":
        shutil.copytree(first, folder / name)
    return folder


def by_name(entries: tuple[StudyEntry, ...]) -> list[StudyEntry]:
    """In an order that does not depend on the directory's; copies changed at the same time."""
    return sorted(entries, key=lambda entry: entry.name)


def databases(found: list[str]) -> set[str]:
    return {Path(name.removeprefix("file:").partition("?")[0]).parent.name for name in found}


def test_a_second_look_opens_nothing(root: Path) -> None:
    seen = StudyListing(root)
    with opens() as found:
        first = seen.entries()
    assert databases(found) >= set("abcdefgh")
    with opens() as found:
        assert seen.entries() is first
    assert found == []
    assert by_name(first) == by_name(list_studies(root))


def test_what_has_changed_is_read_alone(root: Path) -> None:
    seen = StudyListing(root)
    seen.entries()
    with Store(root / "c" / "study.db") as store:
        keep(store, title="another title")
    with opens() as found:
        entries = seen.entries()
    assert databases(found) == {"c"}
    assert {entry.title for entry in entries if entry.name == "c"} == {"another title"}
    assert by_name(entries) == by_name(list_studies(root))
    with opens() as found:
        seen.entries()
    assert found == []


def test_new_renamed_and_deleted_studies_are_noticed(root: Path) -> None:
    seen = StudyListing(root)
    seen.entries()
    shutil.rmtree(root / "a")
    (root / "b").rename(root / "z")
    shutil.copytree(root / "c", root / "y")
    (root / "empty").mkdir()
    entries = seen.entries()
    assert sorted(entry.name for entry in entries) == list("cdefghyz")
    shutil.copy(root / "c" / "study.db", root / "empty" / "study.db")
    assert sorted(entry.name for entry in seen.entries()) == ["c", "d", "e", "empty", *"fghyz"]


def test_a_worker_that_comes_and_goes_is_noticed(root: Path) -> None:
    def state() -> StudyState:
        return next(entry.state for entry in seen.entries() if entry.name == "d")

    seen = StudyListing(root)
    assert state() is StudyState.DONE
    lock = acquire(StudyFolder(root / "d").lock)
    with Store(root / "d" / "study.db") as store:
        keep(store, state=StudyState.RUNNING)
    assert state() is StudyState.RUNNING
    os.close(lock)  # as when the worker is killed: nothing else changes
    assert state() is StudyState.INTERRUPTED


def test_a_study_that_becomes_readable_is_shown(root: Path) -> None:
    whole = (root / "e" / "study.db").read_bytes()
    (root / "e" / "study.db").write_bytes(b"SQLite format 3\x00" + bytes(100))
    seen = StudyListing(root)
    assert [entry.name for entry in seen.entries() if entry.state is StudyState.FAILED] == ["e"]
    (root / "e" / "study.db").write_bytes(whole)
    assert not [entry for entry in seen.entries() if entry.state is StudyState.FAILED]


def test_a_change_in_the_same_tick_of_the_clock_is_not_missed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written a moment ago may be written again without another time of change."""
    monkeypatch.setattr(listing, "_SETTLED_SECONDS", 3600.0)
    seen = StudyListing(root)
    seen.entries()
    with opens() as found:
        seen.entries()
    assert databases(found) >= set("abcdefgh")


def test_no_folder_is_no_study(tmp_path: Path) -> None:
    assert StudyListing(tmp_path / "none").entries() == ()


def test_a_note_is_a_change(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study")
    seen = StudyListing(tmp_path)
    assert seen.entries()[0].note == ""
    write_note(path, "first #try")
    assert seen.entries()[0].note == "first #try"
