"""Numbers in a study file that cannot be are named where they are read, and not computed with."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mi_tui.analysis.results import Estimate, Recommendation
from mi_tui.api.study import Study
from mi_tui.study.control import list_studies
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.possible import amount, count, impossible_answer
from mi_tui.study.view import StudyState
from tests.export.views import an_answer
from tests.study.stored import stored_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return stored_study(tmp_path / "theirs")


def alter(study: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(study / "study.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def refused(study: Path) -> str:
    """The one line with which everything is refused that would compute with the numbers."""
    said = set()
    with Study.load(study) as opened:
        for ask in (opened.view, opened.recommend, opened.observations):
            try:
                ask()
            except StudyError as error:
                said.add(str(error))
    assert len(said) == 1, said
    (line,) = said
    assert len(line.splitlines()) == 1
    return line


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("tokens = -5", "tokens is out of bounds: -5"),
        ("tokens = 1000000000000", "beyond the cap"),
        ("score = 1.5", "score is 1.5"),
        ("score = -0.25", "score is -0.25"),
        ("score = 9e999", "score is inf"),
        ("round = 4000", "round is out of bounds: 4000"),
        ("sample = -1", "sample is out of bounds: -1"),
        ("recipe = 99", "recipe is out of bounds: 98"),
        ("problem = 99", "problem is out of bounds: 98"),
    ],
)
def test_a_rollout_that_cannot_be_is_named(study: Path, change: str, named: str) -> None:
    alter(study, f"UPDATE rollouts SET {change} WHERE id = 4")
    assert named in refused(study)


def test_a_lambda_that_cannot_be_is_named(study: Path) -> None:
    connection = sqlite3.connect(study / "study.db")
    (body,) = connection.execute("SELECT body FROM recipes WHERE id = 2").fetchone()
    connection.close()
    alter(study, "UPDATE recipes SET body = ? WHERE id = 2", body.replace("0.6", "1.6"))
    assert "a recipe" in refused(study)


def test_a_cap_that_cannot_be_is_named(study: Path) -> None:
    alter(study, "UPDATE problems SET cap = -1 WHERE id = 1")
    assert "a problem's cap is -1" in refused(study)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("progress", {"rollouts": -7}, "rollouts is -7"),
        ("progress", {"planned": 1.5}, "planned is 1.5"),
        ("progress", {"tokens": 10**30}, "tokens is 10000000"),
        ("progress", {"elapsed_seconds": -1.0}, "elapsed_seconds is -1"),
        ("progress", {"eta_seconds": -3}, "eta_seconds is -3"),
        ("more", {"key": 10**9}, "samples is 1000000000"),
        ("more", {"key": -1}, "samples is -1"),
        ("elapsed", -5.0, "elapsed is -5"),
    ],
)
def test_a_fact_that_cannot_be_is_named(study: Path, key: str, value: Any, named: str) -> None:
    from mi_tui.study.storage.facts import Facts
    from mi_tui.study.storage.store import Store

    alter(study, "INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))
    with Store(study / "study.db", reading=True) as store, pytest.raises(StudyError, match=named):
        getattr(Facts.of(store), key)


def test_totals_that_cannot_be_are_shown_in_the_list(study: Path) -> None:
    alter(study, "UPDATE rollouts SET tokens = -5 WHERE id < 50")
    (entry,) = list_studies(study.parent)
    assert entry.state is StudyState.FAILED
    assert "tokens is -" in entry.best


def changed(**fields: Any) -> Recommendation:
    return an_answer().model_copy(update=fields)


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (changed(probability=1.5), "probability is 1.5"),
        (changed(lambda_low=-0.5), "lambda_low is -0.5"),
        (changed(lambda_high=float("nan")), "lambda_high is nan"),
        (changed(score=estimate(3.0, 0.1, 4.0)), "score is 3"),
        (changed(score=estimate(0.5, 0.9, 0.1)), "score is 0.5"),
        (changed(tokens=estimate(-5.0, -9.0, -1.0)), "tokens: -5"),
        (changed(expected_loss=-1.0), "expected_loss is -1"),
        (changed(more_rollouts=-1), "more_rollouts is -1"),
    ],
)
def test_an_answer_that_cannot_be_is_named(answer: Recommendation, named: str, study: Path) -> None:
    assert named in impossible_answer(answer)
    stored = json.dumps(answer.model_dump(mode="json", by_alias=True))
    alter(study, "INSERT OR REPLACE INTO meta VALUES ('recommendation', ?)", stored)
    with Study.load(study) as opened, pytest.raises(StudyError, match="a recommendation"):
        opened.view()


def test_what_can_be_is_read(study: Path) -> None:
    assert impossible_answer(an_answer()) == ""
    with Study.load(study) as opened:
        assert opened.view().rows
        answer = opened.recommend()
    assert impossible_answer(answer) == ""
    assert count("n", 0) == 0
    assert amount("n", 0.5) == 0.5
    for wrong in (True, 1.5, -1, 1 << 60):
        with pytest.raises(ValueError, match="not a count"):
            count("n", wrong)
