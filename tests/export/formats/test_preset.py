"""The preset with the answer in it: valid TOML, whatever stands in the study."""

import tomllib
from pathlib import Path

from hypothesis import given

from mi_tui.export.format import FORMATS, Subject, TextFormat
from mi_tui.export.formats.preset import tuned_preset
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.toml import read_preset
from tests.export.hostile import subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    preset = FORMATS["preset"]
    assert isinstance(preset, TextFormat)
    return preset.text(subject)


def test_the_tuned_preset_is_valid_and_carries_the_recipe(tmp_path: Path) -> None:
    subject = Subject(a_view(), an_answer(), {}, tmp_path)
    (tmp_path / "tuned.toml").write_text(text_of(subject), encoding="utf-8")
    again = read_preset(tmp_path / "tuned.toml")
    assert again == tuned_preset(a_view().preset, an_answer())
    assert interpolation(0.5) in again.recipes


@given(texts)
def test_hostile_texts_stay_values(text: str) -> None:
    plain, read = (tomllib.loads(text_of(subject_of(each))) for each in ("plain", text))
    assert read.keys() == plain.keys()
    assert read["pair"] == plain["pair"]
    assert read["title"] == text
    assert read["recipes"][-1]["backbone"] == text


def test_the_tuned_preset_has_the_efforts_unless_nothing_is_recommended(tmp_path: Path) -> None:
    answer = an_answer()
    (tmp_path / "tuned.toml").write_text(text_of(Subject(a_view(), answer, {}, tmp_path)))
    serve = read_preset(tmp_path / "tuned.toml").serve
    assert serve is not None
    assert serve.lambda_ == 0.5
    assert set(serve.efforts) == {"none", "minimal", "low", "medium", "high"}
    nothing = answer.model_copy(update={"recommended": False})
    assert tuned_preset(a_view().preset, nothing).serve is None
