"""The study's file: of someone else, on a full disk, damaged, or opened by two at once."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mi_tui.plan.recipe import interpolation
from mi_tui.study.control import create_study, list_studies
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.database import Database
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.records import PlannedAsk
from mi_tui.study.storage.schema import MIGRATIONS, SCHEMA_VERSION
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from tests.study.presets import small_preset
from tests.study.storage.test_store import a_probe, a_rollout

_STRANGER = 65534


@contextlib.contextmanager
def as_one_who_may_only_read(folder: Path) -> Iterator[None]:
    """Take the right to write away: from everyone, and from root by being someone else."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.iterdir())}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        os.seteuid(_STRANGER)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.fixture
def study() -> Iterator[Path]:
    """A study with one rollout, where every user of the machine may look at it."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    path = create_study(small_preset(), root / "theirs")
    with Store(path / "study.db") as store:
        store.add_probes([a_probe()])
        recipe = store.recipe_index(interpolation(0.5))
        store.plan_round([(recipe, 0, 0)])
        store.add_rollouts([a_rollout(PlannedAsk(recipe, 0, 0, 1))])
    with StudyReader(path) as reader:
        reader.view()  # imports what a stranger might not be able to read
    yield path
    shutil.rmtree(root)


def test_a_finished_study_of_someone_else_can_be_read(study: Path) -> None:
    with as_one_who_may_only_read(study):
        with StudyReader(study) as reader:
            assert reader.view().rows[0].rollouts == 1
            assert reader.responses()[0]["text"] == a_rollout(PlannedAsk(0, 0, 0, 1)).text
        (entry,) = list_studies(study.parent)
        assert (entry.state, entry.rollouts) == (StudyState.NEW, 1)
        with (
            Store(study / "study.db") as store,
            pytest.raises(StudyError, match=r"readonly.*copy the study"),
        ):
            store.put(state="done")


def test_a_running_study_of_someone_else_is_seen_going_on(study: Path) -> None:
    with Store(study / "study.db") as writer:
        writer.put(message="first")
        with as_one_who_may_only_read(study), StudyReader(study) as reader:
            assert reader.view().message == "first"
            writer.put(message="second")
            assert reader.changed()
            assert reader.view().message == "second"


def test_an_older_study_that_may_only_be_read_says_what_to_do(study: Path) -> None:
    database = study / "study.db"
    database.unlink()
    old = sqlite3.connect(database)
    old.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1; PRAGMA journal_mode = WAL")
    old.close()
    with (
        as_one_who_may_only_read(study),
        pytest.raises(StudyError, match=r"older mi-tui.*copy the study"),
    ):
        Store(database)


def test_two_that_open_an_older_study_at_once_both_get_it(tmp_path: Path) -> None:
    for attempt in range(8):
        path = tmp_path / f"{attempt}.db"
        old = sqlite3.connect(path)
        old.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1")
        old.close()
        failures: list[Exception] = []
        together = threading.Barrier(4)

        def open_it(
            path: Path = path,
            together: threading.Barrier = together,
            failures: list[Exception] = failures,
        ) -> None:
            together.wait()
            try:
                Database(path).close()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_full_disk_is_one_line_and_costs_nothing_stored(tmp_path: Path) -> None:
    database = Database(tmp_path / "study.db", create=True)
    database.run("INSERT INTO meta VALUES ('kept', '1')")
    pages = database.number("PRAGMA page_count")
    database.run(f"PRAGMA max_page_count = {pages}")
    large = [("lost", "2"), ("large", "x" * 100_000)]
    with pytest.raises(StudyError, match=r"full.*make room"), database.transaction():
        database.run_many("INSERT INTO meta VALUES (?, ?)", large)
    assert database.rows("SELECT key FROM meta") == [("kept",)]
    database.run(f"PRAGMA max_page_count = {10 * pages}")
    with database.transaction():
        database.run("INSERT INTO meta VALUES ('later', '3')")
    assert database.number("SELECT COUNT(*) FROM meta") == 2


def test_a_damaged_study_is_one_line_wherever_it_is_read(study: Path) -> None:
    database = study / "study.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    (entry,) = list_studies(study.parent)
    assert entry.state is StudyState.FAILED
    assert "damaged" in entry.best
    with StudyReader(study) as reader, pytest.raises(StudyError, match="damaged"):
        reader.view()


def test_a_study_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "studies" / "half"
    path.mkdir(parents=True)
    Store(path / "study.db", create=True).close()
    (entry,) = list_studies(tmp_path / "studies")
    assert entry.state is StudyState.FAILED
    assert "cut short" in entry.best
    with StudyReader(path) as reader, pytest.raises(StudyError, match="cut short"):
        reader.view()
    assert create_study(small_preset(), path) == path
    with StudyReader(path) as reader:
        assert reader.view().preset.title == "Small"


def test_words_of_others_are_harmless_before_any_screen_sees_them(study: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2Jthe hub\r\nsaid \x9b31mno"
    with Store(study / "study.db") as store:
        store.put(message=hostile, engine_note=hostile, title=hostile, progress={"phase": hostile})
    with StudyReader(study) as reader:
        view = reader.view()
    (entry,) = list_studies(study.parent)
    seen = [view.message, view.engine_note, view.progress.phase, entry.title, entry.best]
    assert seen == ["the hub said no"] * 5


def test_a_stored_preset_that_is_not_understood_is_one_line(study: Path) -> None:
    with Store(study / "study.db") as store:
        store.put(preset={**store.get("preset"), "new_setting": 1})
    with StudyReader(study) as reader, pytest.raises(StudyError, match=r"new_setting.*upgrade"):
        reader.view()


def test_an_older_study_keeps_what_a_scorer_failed_on_as_not_scored(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for script in MIGRATIONS[:4]:
        connection.executescript(script)
    connection.execute("PRAGMA user_version = 4")
    connection.execute("INSERT INTO probes (name, sha256, body) VALUES ('p', '', x'')")
    connection.execute("INSERT INTO problems VALUES (1, 1, 'a', '', 1.0, 9, 0)")
    body = interpolation(0.5).canonical_json()
    connection.execute("INSERT INTO recipes VALUES (1, 'k', ?, 'search', 0)", (body,))
    rows = [
        (1, 1.0, 0, None),
        (2, 0.0, 0, "scorer crashed"),
        (3, 0.0, 1, "crashed"),
        (4, 0, 0, None),
    ]
    for number, score, cut, failure in rows:
        connection.execute(
            "INSERT INTO rollouts VALUES (?, 1, 1, ?, 1, 7, ?, 5, 0, 0, ?, NULL, ?, 1.0, 2.0)",
            (number, number, score, cut, failure),
        )
        connection.execute("INSERT INTO texts VALUES (?, x'')", (number,))
    connection.execute("INSERT INTO packed VALUES (0, 4, 4, 20, x'00')")
    connection.close()
    with Store(path) as store:
        assert [row[5] for row in store.rollout_columns()] == [1.0, None, 0.0, 0.0]
        assert store.packed_rollouts(0) is None
        assert store.totals() == (4, 20)
    with contextlib.closing(sqlite3.connect(path)) as again:
        assert again.execute("PRAGMA foreign_key_check").fetchall() == []


def leave_a_log(study: Path) -> None:
    """What a killed worker leaves: the last of what was stored is in the log alone."""
    living = Database(study / "study.db")
    living.run("INSERT OR REPLACE INTO meta VALUES ('title', '\"in the log\"')")
    for name in ("study.db", "study.db-wal"):
        shutil.copyfile(study / name, study / f"{name}.kept")
    living.close()
    for name in ("study.db", "study.db-wal"):
        (study / f"{name}.kept").rename(study / name)
    (study / "study.db-shm").unlink(missing_ok=True)


def read_all(study: Path, title: str = "in the log") -> None:
    (entry,) = [one for one in list_studies(study.parent) if one.path == study]
    assert entry.state is StudyState.NEW, entry.best
    assert entry.title == title
    with StudyReader(study) as reader:
        assert reader.view().rows


@pytest.mark.parametrize("logged", [False, True], ids=["whole", "with a log"])
def test_a_full_disk_hides_no_study(
    study: Path, tmp_path: Path, logged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        living = Database(study / "study.db")
        living.run("INSERT OR REPLACE INTO meta VALUES ('title', '\"in the log\"')")
        living.close()
        if logged:
            leave_a_log(study)
        shutil.copytree(study, disk / "study")
        with contextlib.suppress(OSError), (disk / "fill").open("wb", buffering=0) as filling:
            while True:
                filling.write(bytes(4096))
        read_all(disk / "study")
        assert list(elsewhere.iterdir()) == [], "nothing is left of a copy"
        if logged:
            monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
            with pytest.raises(StudyError, match="cannot open"):
                StudyReader(disk / "study")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
