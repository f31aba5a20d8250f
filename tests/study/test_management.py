"""Studies are renamed and deleted; one that is worked at is stopped first."""

import os
import threading
from pathlib import Path

import pytest

from mi_tui.plan.library import find_preset
from mi_tui.study.control import create_study, list_studies
from mi_tui.study.management import delete_study, rename_study
from mi_tui.study.storage.errors import StudyBusyError, StudyError
from mi_tui.study.storage.folder import StudyFolder, find_study
from mi_tui.study.storage.lock import acquire
from mi_tui.study.storage.store import Store


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))
    return create_study(find_preset("demo")[1])


def test_a_study_is_found_by_its_new_name(study: Path) -> None:
    renamed = rename_study(study, "qwen-arithmetic")
    assert find_study("qwen-arithmetic").path == renamed
    assert [entry.name for entry in list_studies()] == ["qwen-arithmetic"]
    assert rename_study(renamed, "qwen-arithmetic") == renamed


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 81])
def test_a_name_that_is_no_name_is_refused(study: Path, name: str) -> None:
    with pytest.raises(StudyError, match="no name for a study"):
        rename_study(study, name)
    assert study.exists()


def test_a_name_that_is_taken_is_refused(study: Path) -> None:
    other = create_study(find_preset("demo")[1])
    with pytest.raises(StudyError, match="is there already"):
        rename_study(study, other.name)
    assert study.exists()
    assert other.exists()


def test_a_study_at_work_is_not_renamed(study: Path) -> None:
    lock = acquire(StudyFolder(study).lock)
    try:
        with pytest.raises(StudyBusyError):
            rename_study(study, "other")
    finally:
        os.close(lock)


def test_a_study_is_deleted_with_its_exports(study: Path) -> None:
    (study / "exports").mkdir()
    (study / "exports" / "mergekit.yaml").write_text("x")
    delete_study(study)
    assert not study.exists()
    assert list_studies() == ()


def test_a_study_at_work_is_stopped_before_it_is_deleted(study: Path) -> None:
    lock = acquire(StudyFolder(study).lock)
    asked = threading.Event()

    def work() -> None:
        with Store(study / "study.db") as store:
            while not any(wish.kind == "stop" for wish in store.open_requests()):
                asked.wait(0.01)
        asked.set()
        os.close(lock)

    worker = threading.Thread(target=work)
    worker.start()
    delete_study(study)
    worker.join()
    assert asked.is_set()
    assert not study.exists()
