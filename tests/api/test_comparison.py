"""Several studies side by side, from Python and as a command."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mi_tui.api.comparison import compare_studies
from mi_tui.cli.main import app
from mi_tui.errors import MiTuiError
from mi_tui.study.storage.errors import StudyError


@pytest.fixture
def two(finished: Path, tmp_path: Path) -> list[str]:
    shutil.copytree(finished, tmp_path / "copy")
    return [str(finished), str(tmp_path / "copy")]


def test_two_studies_of_one_preset_have_the_same_answer_and_no_note(two: list[str]) -> None:
    found = compare_studies(two)
    one, other = found.studies
    assert (one.name, other.name) == (Path(two[0]).name, "copy")
    assert one.answer == other.answer
    assert one.answer is not None
    assert found.notes == ()


def test_one_budget_is_asked_of_all(two: list[str]) -> None:
    found = compare_studies(two, "tokens<=70")
    assert {study.answer.budget.spec for study in found.studies if study.answer} == {"tokens<=70"}


def test_the_command_prints_a_table_and_json(two: list[str]) -> None:
    said = CliRunner().invoke(app, ["compare", *two, "--json"])
    data = json.loads(said.stdout)
    assert [study["name"] for study in data["studies"]] == [Path(two[0]).name, "copy"]
    assert [row["label"] for row in data["studies"][0]["rows"]] == ["MI-0", "MI-0.6", "MI-1"]
    table = CliRunner().invoke(app, ["compare", *two]).stdout
    for part in ("Recommended", "copy", "λ 0.6", "λ 1"):
        assert part in table


def test_one_study_or_an_unknown_one_is_one_line(two: list[str]) -> None:
    with pytest.raises(MiTuiError, match="two studies or more"):
        compare_studies(two[:1])
    with pytest.raises(StudyError, match="no study nowhere"):
        compare_studies([two[0], "nowhere"])
