"""Studies of every schema, run by the code of their time (scripts/old_studies.py), open today."""

import gzip
import re
import runpy
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest

from mi_tui.plan.recipe import Recipe
from mi_tui.study.control import create_study, request
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.schema import SCHEMA_VERSION
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work

STUDIES = Path(__file__).with_name("old_studies")
COMMITS = runpy.run_path(str(Path(__file__).parents[3] / "scripts/old_studies.py"))["COMMITS"]
SCHEMAS = range(1, SCHEMA_VERSION + 1)

ROWS = """SELECT c.key, p.name, r.sample, r.round, r.seed, r.score, r.tokens, r.think_tokens,
                 r.thinking, r.truncated, r.answer, r.failure, r.seconds, r.finished, t.body
          FROM rollouts r JOIN recipes c ON c.id = r.recipe
          JOIN problems p ON p.id = r.problem JOIN texts t ON t.rollout = r.id
          ORDER BY c.key, p.name, r.sample"""


def unpacked(schema: int, folder: Path) -> Path:
    """The study of one schema, as its worker left it."""
    folder.mkdir()
    packed = (STUDIES / f"schema-{schema}.db.gz").read_bytes()
    (folder / "study.db").write_bytes(gzip.decompress(packed))
    return folder


def rows(study: Path) -> list[tuple[Any, ...]]:
    """Every rollout with its text, read by SQLite alone."""
    with sqlite3.connect(f"file:{study / 'study.db'}?mode=ro", uri=True) as db:
        return db.execute(ROWS).fetchall()


def test_every_schema_has_a_study() -> None:
    found = {int(re.findall(r"\d+", file.name)[0]) for file in STUDIES.iterdir()}
    assert found == set(SCHEMAS) == set(COMMITS)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_study_of_an_older_schema_keeps_every_rollout(tmp_path: Path, schema: int) -> None:
    study = unpacked(schema, tmp_path / "study")
    with sqlite3.connect(study / "study.db") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema,)
    before = rows(study)
    assert len(before) >= 16
    with Store(study / "study.db") as store:
        assert Facts.of(store).state is StudyState.DONE
        assert store.totals() == (len(before), sum(row[6] for row in before))
        assert store.open_asks() == []
        assert [probe.name for probe in store.probes()] == ["arithmetic"]
    after = rows(study)
    assert after == before
    assert zlib.decompress(after[0][-1]).decode()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_study_of_an_older_schema_is_shown_and_answers(tmp_path: Path, schema: int) -> None:
    study = unpacked(schema, tmp_path / "study")
    expected: dict[str, list[float]] = {}
    for key, _, _, _, _, score, *_ in rows(study):
        expected.setdefault(key, []).append(score)
    with StudyReader(study) as reader:
        view, answer = reader.view(), reader.recommend()
    measured = {row.recipe.key: row for row in view.rows}
    assert {view.preset.recipe(lambda_).key for lambda_ in (0.0, 0.6, 1.0)} <= set(measured)
    for key, row in measured.items():
        assert row.score.value == pytest.approx(sum(expected[key]) / len(expected[key]))
    assert 0.0 <= answer.lambda_ < 1.0  # Thinking is longer than the limit
    assert answer.alternatives


@pytest.mark.parametrize("schema", SCHEMAS)
def test_recipes_of_an_older_study_have_the_keys_they_are_stored_under(
    tmp_path: Path, schema: int
) -> None:
    study = unpacked(schema, tmp_path / "study")
    with sqlite3.connect(study / "study.db") as db:
        stored = db.execute("SELECT key, body FROM recipes").fetchall()
    assert len(stored) == 5
    assert [Recipe.from_json(body).key for _, body in stored] == [key for key, _ in stored]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_preset_of_an_older_study_is_still_its_own(tmp_path: Path, schema: int) -> None:
    study = unpacked(schema, tmp_path / "study")
    with StudyReader(study) as reader:
        preset = reader.preset
    before = rows(study)
    assert create_study(preset, study) == study
    assert rows(study) == before


@pytest.mark.slow
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_study_of_an_older_schema_goes_on(tmp_path: Path, schema: int) -> None:
    study = unpacked(schema, tmp_path / "study")
    before = set(rows(study))
    with StudyReader(study) as reader:
        recipe = reader.preset.recipe(0.3)
    request(study, "add", recipe=recipe.model_dump(mode="json", by_alias=True))
    assert work(StudyFolder(study)) is StudyState.DONE
    assert before < set(rows(study))
    with StudyReader(study) as reader:
        assert recipe.key in {row.recipe.key for row in reader.view().rows}
