"""Making, finding, listing and locking studies."""

import os
import time
from pathlib import Path

import pytest

from mi_tui.plan.library import find_preset
from mi_tui.plan.toml import read_preset
from mi_tui.study import control
from mi_tui.study.control import create_study, list_studies, request, start_worker
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyBusyError, StudyError
from mi_tui.study.storage.facts import ChosenEngine, Facts, keep
from mi_tui.study.storage.folder import (
    StudyFolder,
    find_study,
    free_path,
    name_problem,
    proposed_name,
)
from mi_tui.study.storage.lock import acquire, is_held
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from tests.study.presets import small_preset


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "studies"
    monkeypatch.setenv("MI_TUI_STUDIES", str(root))
    return root


def test_a_new_study_is_listed_and_found_by_name(studies: Path) -> None:
    _, preset = find_preset("demo")
    path = create_study(preset)
    assert path.parent == studies
    (entry,) = list_studies()
    assert (entry.name, entry.title, entry.state) == (path.name, "Demo", StudyState.NEW)
    assert find_study(path.name).path == path
    assert find_study("demo").path == path
    assert find_study(path).path == path


def test_two_studies_of_one_second_have_two_names() -> None:
    _, preset = find_preset("demo")
    assert create_study(preset) != create_study(preset)
    with pytest.raises(StudyError, match="several"):
        find_study("demo")


def test_a_directory_of_another_preset_is_not_taken_over(tmp_path: Path) -> None:
    _, preset = find_preset("demo")
    path = create_study(preset, tmp_path / "here")
    assert create_study(preset, tmp_path / "here") == path
    other = preset.model_copy(update={"title": "Other"})
    with pytest.raises(StudyError, match="another preset"):
        create_study(other, tmp_path / "here")


def test_a_study_goes_on_with_its_own_engine(tmp_path: Path) -> None:
    preset = small_preset()
    path = create_study(preset, tmp_path / "here")
    with pytest.raises(StudyError, match="leaves its engine open, and transformers is asked for"):
        create_study(preset.with_engine("transformers"), path)
    with Store(path / "study.db") as store:
        keep(store, engine=ChosenEngine("vllm", "a GPU is there"))
    for kind in (None, "auto", "vllm"):
        assert create_study(preset.with_engine(kind), path) == path
    with pytest.raises(StudyError, match="runs with vllm, and transformers is asked for"):
        create_study(preset.with_engine("transformers"), path)


def test_a_study_of_an_earlier_version_is_resumed_by_its_preset(tmp_path: Path) -> None:
    """It wrote every default out; its preset file left them out."""
    preset = small_preset()
    path = create_study(preset, tmp_path / "here")
    with Store(path / "study.db") as store:
        stored = store.get("preset")
        stored["engine"]["kind"] = "transformers"
        stored["engine"]["vllm"] |= {"tensor_parallel_size": 1, "data_parallel_size": 1}
        assert "kv_cache_dtype" not in stored["engine"]["vllm"]
        store.put(preset=stored)
    assert create_study(read_preset(path / "preset.toml"), path) == path
    with Store(path / "study.db") as store:
        engine = Facts.of(store).preset.engine
    assert (engine.kind, engine.vllm.ranks, engine.vllm.data_parallel_size) == (
        "transformers", 1, 1,
    )  # fmt: skip


def test_relative_paths_are_resolved_when_the_study_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    _, preset = find_preset("demo")
    pair = preset.pair.model_copy(update={"instruct": "models/a", "thinking": "org/name"})
    path = create_study(preset.model_copy(update={"pair": pair}))
    with Store(path / "study.db") as store:
        kept = store.get("preset")["pair"]
    assert kept["instruct"] == str(tmp_path / "models" / "a")
    assert kept["thinking"] == "org/name"


def test_an_unwritable_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _, preset = find_preset("demo")
    with pytest.raises(StudyError, match="cannot write the study directory"):
        create_study(preset, tmp_path / "file" / "study")


def test_a_lock_is_held_by_its_descriptor(tmp_path: Path) -> None:
    lock = tmp_path / "worker.lock"
    assert not is_held(lock)
    descriptor = acquire(lock)
    assert is_held(lock)
    with pytest.raises(StudyBusyError, match="mi-tui watch"):
        acquire(lock)
    os.close(descriptor)
    assert not is_held(lock)


def test_a_second_worker_is_refused_at_once() -> None:
    _, preset = find_preset("demo")
    path = create_study(preset)
    descriptor = acquire(path / "worker.lock")
    try:
        with pytest.raises(StudyBusyError):
            start_worker(path)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("planted", ["a link", "a pipe"])
def test_a_log_that_others_have_planted_is_not_written(planted: str, tmp_path: Path) -> None:
    _, preset = find_preset("demo")
    path = create_study(preset)
    mine = tmp_path / "mine"
    mine.write_text("mine")
    if planted == "a link":
        (path / "worker.log").symlink_to(mine)
    else:
        os.mkfifo(path / "worker.log")
    with pytest.raises(StudyError, match="cannot start the worker"):
        start_worker(path)
    assert mine.read_text() == "mine"
    assert not is_held(path / "worker.lock")


def test_a_study_whose_worker_is_gone_is_interrupted() -> None:
    _, preset = find_preset("demo")
    path = create_study(preset)
    with Store(path / "study.db") as store:
        store.put(state=StudyState.RUNNING)
    assert list_studies()[0].state is StudyState.INTERRUPTED


def test_a_broken_study_is_listed_with_its_reason(studies: Path) -> None:
    (studies / "broken").mkdir(parents=True)
    (studies / "broken" / "study.db").write_bytes(b"no database " * 100)
    (entry,) = list_studies()
    assert entry.state is StudyState.FAILED
    assert "cannot open" in entry.best


def test_requests_need_a_study() -> None:
    with pytest.raises(StudyError, match="mi-tui studies"):
        request(Path("nowhere"), "stop")


def test_a_log_that_goes_away_while_studies_are_listed_is_no_error(studies: Path) -> None:
    path = create_study(find_preset("demo")[1])
    lock = acquire(StudyFolder(path).lock, 1.0)
    try:
        (entry,) = list_studies()
    finally:
        os.close(lock)
    assert not (path / "study.db-wal").exists()
    assert (entry.path, entry.state) == (path, StudyState.NEW)


def test_looking_at_a_study_changes_neither_its_last_change_nor_the_order(studies: Path) -> None:
    older, newer = create_study(find_preset("demo")[1]), create_study(find_preset("demo")[1])
    for age, path in ((2000, older), (1000, newer)):
        os.utime(path / "study.db", (time.time() - age,) * 2)
    before = list_studies()
    with StudyReader(older) as reader:
        reader.view()
        assert list_studies() == before
    assert list_studies() == before
    assert [entry.path for entry in before] == [newer, older]


def test_a_name_that_two_took_in_the_same_moment_goes_to_one(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = find_preset("demo")[1]
    names = iter([studies / "demo", studies / "demo", studies / "demo-2"])
    monkeypatch.setattr("mi_tui.study.control.new_study_path", lambda _: next(names))
    assert create_study(preset).name == "demo"
    assert create_study(preset).name == "demo-2"


def test_an_empty_name_is_no_study(studies: Path) -> None:
    create_study(find_preset("demo")[1])
    with pytest.raises(StudyError, match="empty"):
        find_study("")


def test_a_study_is_its_owners_and_names_its_preset_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path))
    for path in (create_study(small_preset()), create_study(small_preset(), tmp_path / "a" / "b")):
        assert path.stat().st_mode & 0o777 == 0o700

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(control, "Store", killed)
    with pytest.raises(KeyboardInterrupt):
        create_study(small_preset(), tmp_path / "cut")
    assert (tmp_path / "cut" / "preset.toml").is_file()


def test_a_named_study_takes_no_other_ones_place(studies: Path) -> None:
    path = create_study(small_preset(), name="first")
    assert path == studies / "first"
    with pytest.raises(StudyError, match="first is there already: choose another name"):
        create_study(small_preset(), name="first")
    with pytest.raises(StudyError, match="is no name for a study"):
        create_study(small_preset(), name="../first")
    assert free_path("first").name == "first-2"


@pytest.mark.parametrize(
    ("title", "probes", "name"),
    [
        ("Qwen3-4B", ["aime25"], "qwen3-4b-aime25"),
        ("Arithmetic", ["arithmetic"], "arithmetic"),
        ("Two", ["a", "b", "c", "d"], "two-a-b-and-2-more"),
        ("π", [], "study"),
        ("x" * 90, ["y" * 90], f"{'x' * 40}-{'y' * 20}"),
    ],
)
def test_a_name_is_proposed_from_the_title_and_the_probes(
    title: str, probes: list[str], name: str
) -> None:
    assert proposed_name(title, probes) == name
    assert not name_problem(name)
