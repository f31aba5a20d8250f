"""The export of a stored study: files appear, unknown formats and full folders are one line."""

import json
from pathlib import Path

import pytest

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.export.bundle import ExportProgress, copied_text, export_study
from mi_tui.export.errors import ExportError, NothingRecommendedError
from mi_tui.plan.toml import read_preset
from mi_tui.study.reader import StudyReader
from tests.study.stored import stored_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_study(tmp_path_factory.mktemp("studies") / "sums")


def test_what_is_written_at_once_is_the_default(study: Path, tmp_path: Path) -> None:
    seen: list[ExportProgress] = []
    written = export_study(study, tmp_path / "new" / "out", progress=seen.append)
    assert [path.name for path in written] == [
        "preset.toml",
        "recommendation.json",
        "table.csv",
        "groups.csv",
        "flips.csv",
        "mergekit.yaml",
        "report.html",
        "serve.sh",
        "serve-checkpoint.sh",
    ]
    assert all(path.is_file() for path in written)
    assert [(step.format.file_name, step.done, step.total) for step in seen] == [
        (path.name, 1, 1) for path in written
    ]
    with StudyReader(study) as reader:
        answer = reader.recommend()
    stored = json.loads(written[1].read_text())
    assert stored["recommendation"]["lambda"] == answer.lambda_


def test_an_unknown_format_writes_nothing(study: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="unknown export format 'xml'"):
        export_study(study, tmp_path / "out", ["csv", "xml"])
    assert not (tmp_path / "out").exists()


def test_what_mergekit_cannot_say_does_not_hold_up_the_rest(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise CheckpointError("this scope cannot be expressed in mergekit")

    monkeypatch.setattr("mi_tui.export.mergekit_config.mergekit_yaml", refuse)
    with pytest.raises(CheckpointError, match="cannot be expressed"):
        export_study(study, tmp_path / "out", ["mergekit", "csv"])
    assert (tmp_path / "out" / "table.csv").is_file()
    assert not (tmp_path / "out" / "mergekit.yaml").exists()


def test_a_text_for_the_clipboard_writes_nothing(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "it's here"
    assert copied_text(study, out, "preset").startswith("title = ")
    assert copied_text(study, out, "serve").startswith("mi-tui serve ")
    assert copied_text(study, out, "serve-checkpoint").startswith("vllm serve ")
    assert not out.exists()


def test_a_folder_that_cannot_be_made_is_one_line(study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot write to"):
        export_study(study, tmp_path / "file" / "out")


def test_where_nothing_is_recommended_no_recipe_is_exported(tmp_path: Path) -> None:
    study = stored_study(tmp_path / "hard", problems=60, score=0.0)
    for wanted in ("mergekit", "serve", "checkpoint"):
        with pytest.raises(NothingRecommendedError, match="easier probe"):
            export_study(study, tmp_path / "out", [wanted])
    assert not (tmp_path / "out").exists()
    report, data, preset = export_study(study, tmp_path / "out", ["report", "json", "preset"])
    assert "<title>" in report.read_text()
    assert "nothing is recommended" in report.read_text()
    assert not json.loads(data.read_text())["recommendation"]["recommended"]
    with StudyReader(study) as reader:
        assert read_preset(preset).recipes == reader.view().preset.recipes
