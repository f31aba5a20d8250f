"""A wrong type in any column of any table: each reader reads it or refuses it in one line."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mi_tui.api.study import Study
from mi_tui.errors import MiTuiError
from mi_tui.study.control import list_studies
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage import observation_loader
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.store import Store
from tests.cli.command import command
from tests.study.stored import stored_study

ODD = {
    "nothing": "NULL",
    "a word": "'abc'",
    "bytes": "x'00ff'",
    "no text": "CAST(x'ff41' AS TEXT)",
    "half a character": "CAST(x'eda080' AS TEXT)",
    "steering the terminal": "char(27) || '[2J' || char(10) || 'x'",
    "below zero": "-1",
    "the largest": "9223372036854775807",
    "endless": "9e999",
    "a fraction": "1.5",
    "empty": "''",
    "zero": "0",
    "many digits": "'" + "9" * 5000 + "'",
    "a list": "'[1]'",
    "very deep": "'" + "[" * 5000 + "'",
}
ONE_ROW = {"meta": "key = 'state'", "asks": "problem = 1 AND sample = 0", "answers": "sample = 0"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has a row in every table."""
    path = stored_study(tmp_path_factory.mktemp("whole") / "study")
    with Store(path / "study.db") as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(observation_loader, "PACK_FROM", 10)
        loader = ObservationLoader(store)
        loader.load()
        loader.pack()
        store.leave_request("more", {"recipe": store.recipes()[0].key, "samples": 2})
        store.log("started", "info")
        store.add_answer("server", 0, 0, {"text": "x", "tokens": 3})
    with closing(sqlite3.connect(path / "study.db")) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            assert db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0], table
    return path


def columns(study: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(study / "study.db")) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return [
            (table, row[1]) for table in tables for row in db.execute(f"PRAGMA table_info({table})")
        ]


def alter(study: Path, table: str, column: str, value: str, *, one: bool) -> bool:
    """Put a value into a column, whatever the schema says; whether SQLite takes it."""
    where = ONE_ROW.get(table, f"rowid = (SELECT MIN(rowid) FROM {table})") if one else "1"
    words = ("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
    loose = "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = ?"
    with closing(sqlite3.connect(study / "study.db")) as db:
        (own,) = db.execute(*words).fetchone()
        db.execute("PRAGMA writable_schema = ON")
        db.execute(loose, (table,))
        db.commit()
    with closing(sqlite3.connect(study / "study.db")) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        try:
            db.execute(f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE {where}")
        except sqlite3.Error:
            return False
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (own, table))
        db.commit()
    return True


def readers(study: Study) -> Iterator[Callable[[], Any]]:
    """Whatever reads rows; what is computed from them is not asked anew each time."""
    yield study.view
    yield study.log
    yield study.examples
    yield study.problems
    yield study.observations
    yield lambda: list(study.rollouts())
    yield partial(StudyReader.responses, study)
    yield study.store.open_asks
    yield study.store.open_requests
    yield partial(study.store.answers, "server")


def refusal(read: Callable[[], Any]) -> str:
    """The line in which something is refused; empty where it is read."""
    try:
        read()
    except MiTuiError as error:
        return str(error)
    return ""


def read_or_refused(path: Path) -> None:
    list_studies(path.parent)
    try:
        with Study.load(path) as study:
            for read in readers(study):
                said = refusal(read)
                assert len(said) < 1000
                assert said.isprintable()
    except MiTuiError:
        """The study is refused as a whole."""


@pytest.mark.parametrize("odd", ODD)
def test_any_value_in_any_column_is_read_or_refused(odd: str, whole: Path, tmp_path: Path) -> None:
    altered = 0
    for number, (table, column) in enumerate(columns(whole)):
        path = tmp_path / str(number) / "study"
        shutil.copytree(whole, path)
        altered += alter(path, table, column, ODD[odd], one=number % 2 == 0)
        read_or_refused(path)
    assert altered > 10


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("log", "time", "'abc'"),
        ("rollouts", "recipe", "9e999"),
        ("rollouts", "problem", "NULL"),
        ("texts", "body", "'abc'"),
    ],
)
def test_commands_tell_it_in_one_line(
    table: str, column: str, value: str, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "study"
    shutil.copytree(whole, path)
    assert alter(path, table, column, value, one=False)
    for words in (("log",), ("table",), ("recommend",), ("export", "--to", str(tmp_path / "out"))):
        done = command(words[0], str(path), *words[1:])
        assert done.returncode in (0, 2, 3), done.stderr
        assert len(done.stderr.splitlines()) <= 1
