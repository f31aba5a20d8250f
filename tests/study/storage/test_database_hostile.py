"""Study files that others have made: what runs code, explodes or lies is refused in one line."""

import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mi_tui.errors import MiTuiError
from mi_tui.study.control import list_studies
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.compressed import LARGEST_TEXT, decompressed
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.packing import unpack
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from tests.study.stored import stored_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return stored_study(tmp_path / "theirs")


def alter(study: Path, *statements: str) -> None:
    connection = sqlite3.connect(study / "study.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def refused(study: Path) -> str:
    """The one line with which a study is refused; the list shows it all the same."""
    (entry,) = list_studies(study.parent)
    assert entry.state is StudyState.FAILED
    assert entry.best.startswith("unreadable: ")
    for reading in (True, False):
        with pytest.raises(StudyError) as error:
            Store(study / "study.db", reading=reading)
        assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (
            "CREATE TRIGGER bomb AFTER INSERT ON requests BEGIN"
            " INSERT INTO log (time, level, message) VALUES (0, 'x', zeroblob(100000000)); END",
            "trigger 'bomb'",
        ),
        (
            "CREATE VIEW endless AS WITH RECURSIVE n(x) AS"
            " (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
            "view 'endless'",
        ),
        ("CREATE TABLE more (x)", "table 'more'"),
        ("CREATE INDEX slow ON rollouts (score * 2)", "index 'slow'"),
        ("ALTER TABLE meta ADD COLUMN x AS (value || value)", "table 'meta'"),
    ],
)
def test_what_we_did_not_declare_is_refused_before_it_runs(
    study: Path, statement: str, what: str
) -> None:
    alter(study, statement)
    assert what in refused(study)
    assert "do not use this file" in refused(study)


def test_a_view_in_the_place_of_a_table_is_refused(study: Path) -> None:
    alter(study, "DROP TABLE log", "CREATE VIEW log AS SELECT 1 AS id, 2 AS time")
    assert "view 'log'" in refused(study)


def test_a_missing_table_is_told(study: Path) -> None:
    alter(study, "DROP TABLE answers")
    assert "lacks tables" in refused(study)


def test_what_analyze_leaves_is_no_fault(study: Path) -> None:
    alter(study, "ANALYZE")
    with StudyReader(study) as reader:
        assert reader.view().rows


def test_a_reader_cannot_write(study: Path) -> None:
    with StudyReader(study) as reader, pytest.raises(StudyError, match="readonly"):
        reader.store.put(state="done")


def test_a_bomb_is_not_unpacked(study: Path) -> None:
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range((LARGEST_TEXT >> 20) + 1))
    bomb += packer.flush()
    with pytest.raises(ValueError, match="far too large"):
        decompressed(bomb, LARGEST_TEXT)
    connection = sqlite3.connect(study / "study.db")
    connection.execute("UPDATE texts SET body = ?", (bomb,))
    connection.commit()
    connection.close()
    with StudyReader(study) as reader, pytest.raises(StudyError, match="far too large"):
        reader.responses()


def packed(write: Callable[[zipfile.ZipFile], None], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        write(archive)
    return zlib.compress(buffer.getvalue())


def header(shape: str, dtype: str = "|i1") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "body",
    [
        packed(lambda a: a.writestr("answers.npy", header("(1000000000000,)"))),
        packed(lambda a: a.writestr("answers.npy", header("(2,)", "|O"))),
        packed(lambda a: a.writestr("answers.npy", bytes(1 << 20)), zipfile.ZIP_DEFLATED),
        packed(lambda a: a.writestr("answers.npy", b"")),
        packed(lambda a: None),
        zlib.compress(b"no archive"),
        b"nothing",
    ],
)
def test_packed_columns_that_lie_are_refused(body: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        unpack(body, {})


def test_packed_columns_of_others_must_fit_the_study(study: Path) -> None:
    buffer = io.BytesIO()
    names = ("problem", "sample", "round", "tokens", "answer")
    parts: dict[str, Any] = dict.fromkeys(names, np.zeros(2, np.int8))
    parts |= {"recipe": np.array([0, 77], np.int8), "score": np.zeros(2)}
    parts |= dict.fromkeys(("thinking", "truncated"), np.zeros(2, np.bool_))
    np.savez(buffer, answers=np.frombuffer(b"[]", np.uint8), **parts)
    connection = sqlite3.connect(study / "study.db")
    body = zlib.compress(buffer.getvalue())
    connection.execute("INSERT INTO packed VALUES (0, 2, 2, 0, ?)", (body,))
    connection.commit()
    connection.close()
    with StudyReader(study) as reader, pytest.raises(StudyError, match="out of bounds"):
        reader.view()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rollouts SET tokens = 'many' WHERE id = 3",
        "UPDATE rollouts SET tokens = -5 WHERE id = 3",
        "UPDATE rollouts SET score = 9e999 WHERE id = 3",
        "UPDATE rollouts SET recipe = 99, sample = 99 WHERE id = 3",
        "UPDATE rollouts SET answer = x'ff' WHERE id = 3",
        "UPDATE recipes SET body = '[]' WHERE id = 1",
        'UPDATE recipes SET body = \'{"lambda": 0.5, "backbone": "a\\nb"}\' WHERE id = 1',
        "UPDATE problems SET weight = 'heavy'",
        "UPDATE problems SET weight = -1",
        "UPDATE meta SET value = '{' WHERE key = 'state'",
        "UPDATE meta SET value = '7' WHERE key = 'preset'",
    ],
)
def test_values_of_another_type_are_one_line(study: Path, statement: str) -> None:
    alter(study, "PRAGMA foreign_keys = OFF", statement)
    with suppress(MiTuiError), StudyReader(study) as reader:
        reader.view()
        reader.recommend()
    list_studies(study.parent)


def test_keys_of_a_newer_version_are_passed_over(study: Path) -> None:
    from tests.tui import views

    answer = views.recommendation().model_dump(mode="json", by_alias=True)
    with Store(study / "study.db") as store:
        store.put(
            recommendation={**answer, "new": 1, "score": {**answer["score"], "newer": [2]}},
            progress={"phase": "x", "fresh": {}},
            latency={
                "machine": "m",
                "latency": {"time_to_first_token": 0.1, "time_per_output_token": 0.2, "new": 3},
                "points": [],
                "new": 4,
            },
        )
        facts = Facts.of(store)
    assert facts.recommendation == views.recommendation()
    assert facts.progress.phase == "x"
    assert facts.latency is not None


def test_a_state_of_a_newer_version_leaves_the_other_studies_alone(
    study: Path, tmp_path: Path
) -> None:
    stored_study(tmp_path / "mine")
    alter(study, f"UPDATE meta SET value = '{json.dumps('dreaming')}' WHERE key = 'state'")
    found = {entry.name: entry for entry in list_studies(tmp_path)}
    assert found["mine"].state is StudyState.DONE
    assert found["theirs"].state is StudyState.FAILED
    assert "dreaming" in found["theirs"].best
