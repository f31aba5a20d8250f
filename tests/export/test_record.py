"""The record of an export directory: one recipe of one study, or a question."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mi_tui.export.errors import ExportConflictError, ExportError
from mi_tui.export.format import FORMATS, Subject, chosen
from mi_tui.export.record import RECORD, claim, read_record
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.export.views import a_view, an_answer


def subject(out: Path, lambda_: float = 0.5, study: str = "demo") -> Subject:
    out.mkdir(exist_ok=True)
    view = replace(a_view(), path=out.parent / study, name=study)
    return Subject(view, an_answer(lambda_), {}, out)


def export(what: Subject, *names: str, overwrite: bool = False) -> None:
    """As ``export_study`` does it."""
    formats = chosen(names)
    claim(what, formats, overwrite=overwrite)
    for each in formats:
        each.write(what, what.path_of(each.name), lambda *_: None, lambda: False)


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


def test_more_of_the_same_recipe_joins_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(subject(out), "csv", "json")
    export(subject(out), "preset")
    assert names(out) == {"table.csv", "recommendation.json", "preset.toml", RECORD}
    held = read_record(out)
    assert held is not None
    assert set(held.files) == {"table.csv", "recommendation.json", "preset.toml"}
    assert (held.label, held.study, held.where) == ("MI-0.5", "demo", "../demo")


@pytest.mark.parametrize(("lambda_", "study"), [(0.6, "demo"), (0.5, "other")])
def test_another_recipe_or_study_is_not_mixed_in(
    lambda_: float, study: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(subject(out), "csv", "json", "serve")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ExportConflictError, match=r"holds the export of MI-0\.5 \(demo\): choose"):
        export(subject(out, lambda_, study), "preset")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    export(subject(out, lambda_, study), "preset", overwrite=True)
    assert names(out) == {"preset.toml", RECORD}


def test_a_file_of_unknown_origin_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("mine")
    export(subject(out), "csv")
    with pytest.raises(ExportConflictError, match="choose another"):
        export(subject(tmp_path / "out", 0.6), "csv")
    other = tmp_path / "other"
    other.mkdir()
    (other / "table.csv").write_text("mine")
    with pytest.raises(ExportConflictError, match=r"table\.csv of unknown origin"):
        export(subject(other), "csv", "json")
    assert names(other) == {"table.csv"}
    export(subject(other), "csv", overwrite=True)
    assert (other / "table.csv").read_text() != "mine"


def test_overwriting_removes_a_merge_and_nothing_else(tmp_path: Path) -> None:
    from mi_tui.checkpoints.merging.write import merge

    out = tmp_path / "out"
    export(subject(out), "csv")
    claim(subject(out), [FORMATS["checkpoint"]], overwrite=False)
    pair = Pair(instruct="bundled:instruct", thinking="bundled:thinking")
    merge(interpolation(0.5), pair, out / "checkpoint")
    (out / "checkpoint" / "notes.txt").write_text("mine")
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"notes\.txt, which no merge wrote"):
        export(subject(out, 0.6), "csv", overwrite=True)
    (out / "checkpoint" / "notes.txt").unlink()
    export(subject(out, 0.6), "json", overwrite=True)
    assert names(out) == {"recommendation.json", "mine.txt", RECORD}


@pytest.mark.parametrize("name", ["../keep", "mine.txt", "."])
def test_a_forged_record_removes_nothing(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "keep").write_text("mine")
    export(subject(out), "csv")
    (out / "mine.txt").write_text("mine")
    record = json.loads((out / RECORD).read_text())
    record["files"] = [name, "table.csv"]
    (out / RECORD).write_text(json.dumps(record))
    with pytest.raises(ExportError, match="which no export format here writes"):
        export(subject(out, 0.6), "json", overwrite=True)
    assert (tmp_path / "keep").read_text() == (out / "mine.txt").read_text() == "mine"
    assert (out / "table.csv").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\x00", '{"schema": 2}', "[" * 100_000, '{"schema": 1, "files": 3}']
)
def test_a_record_that_is_none_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(ExportError, match="is not a record of mi-tui's exports"):
        read_record(tmp_path)


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "keep").write_text("mine")
    out.mkdir()
    (out / "table.csv.part").symlink_to(tmp_path / "keep")
    (out / "export.json.part").symlink_to(tmp_path / "keep")
    export(subject(out), "csv")
    assert (tmp_path / "keep").read_text() == "mine"
    assert not (out / "table.csv").is_symlink()
