"""The table ``[serve]`` of a preset: edited by hand, and absent from presets without one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.library import find_preset
from mi_tui.plan.serve import MeasuredCurve, ServePlan
from mi_tui.plan.toml import PresetError, parse_preset, preset_text, write_preset

PRESET = """\
title = "Small"

[pair]
instruct = "a"
thinking = "b"

[[probes]]
kind = "arithmetic"

[serve]
name = "pair"
lambda = 0.5

[serve.efforts]
none = 0
low = 0.25  # mine
swift = 0.1

[serve.measured]
lambda = [0.0, 0.5, 1.0]
score = [0.2, 0.6, 0.8]
score_low = [0.1, 0.5, 0.7]
score_high = [0.3, 0.7, 0.9]
tokens = [10, 30, 110]
tokens_low = [9, 28, 100]
tokens_high = [11, 32, 120]
"""


def a_curve(**changed: object) -> MeasuredCurve:
    rows = {
        "lambda": [0.0, 0.5, 1.0],
        "score": [0.2, 0.6, 0.8],
        "score_low": [0.1, 0.5, 0.7],
        "score_high": [0.3, 0.7, 0.9],
        "tokens": [10.0, 30.0, 110.0],
        "tokens_low": [9.0, 28.0, 100.0],
        "tokens_high": [11.0, 32.0, 120.0],
    }
    return MeasuredCurve.model_validate(rows | changed)


def test_an_effort_that_is_moved_has_the_score_of_its_new_lambda() -> None:
    plan = parse_preset(PRESET, "small.toml").serve
    assert plan is not None
    assert plan.efforts == {"none": 0.0, "low": 0.25, "swift": 0.1}
    low = plan.measured_at(plan.efforts["low"])
    assert low is not None
    assert [low.score, low.tokens] == pytest.approx([0.4, 20.0])
    assert [low.score_low, low.tokens_high] == pytest.approx([0.3, 21.5])


def test_comments_in_the_table_are_kept_and_a_written_one_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(PRESET)
    preset = parse_preset(PRESET, "small.toml")
    assert preset.serve is not None
    moved = preset.serve.model_copy(update={"efforts": preset.serve.efforts | {"swift": 0.15}})
    write_preset(preset.model_copy(update={"serve": moved}), path)
    assert "low = 0.25  # mine" in path.read_text()
    assert parse_preset(path.read_text(), "small.toml").serve == moved
    assert parse_preset(preset_text(preset), "again").serve == preset.serve


def test_a_preset_without_the_table_is_stored_as_it_always_was() -> None:
    _, preset = find_preset("demo")
    assert preset.serve is None
    assert "serve" not in preset.model_dump(mode="json", by_alias=True)
    assert '"serve"' not in preset.canonical_json()
    assert "serve" not in preset_text(preset)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lambda = 0.5\n", "", "serve.lambda is missing"),
        ("lambda = 0.5\n", "lambda = 1.5\n", "serve.lambda = 1.5: input should be less than"),
        ("low = 0.25", "low = nan", "serve.efforts.low"),
        ("low = 0.25", '"0.3" = 0.25', "name an effort with a-z"),
        ("low = 0.25", '"low@" = 0.25', "name an effort with a-z"),
        ('name = "pair"', 'name = "pair@x"', "name a model with letters"),
        ('name = "pair"', 'name = "-pair"', "name a model with letters"),
        ("score = [0.2, 0.6, 0.8]", "score = [0.2, 0.6]", "every row of the curve"),
        ("lambda = [0.0, 0.5, 1.0]", "lambda = [0.0, 0.5, 0.5]", "lambda must increase"),
        ("swift = 0.1", "[serve.effort]", "unknown key serve.effort, allowed are"),
    ],
)
def test_a_broken_table_is_one_line(old: str, new: str, says: str) -> None:
    with pytest.raises(PresetError) as error:
        parse_preset(PRESET.replace(old, new, 1), "small.toml")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@given(st.floats(0, 1))
def test_the_curve_lies_between_its_neighbours(lambda_: float) -> None:
    point = a_curve().at(lambda_)
    assert point is not None
    assert 0.2 <= point.score <= 0.8
    assert 10 <= point.tokens <= 110.0001
    assert point.score_low < point.score < point.score_high


def test_nothing_is_said_outside_of_what_was_measured() -> None:
    curve = a_curve(**{"lambda": [0.2, 0.5, 0.9]})
    assert curve.at(0.1) is None
    assert curve.at(0.95) is None
    assert [point.lambda_ for point in curve.points()] == [0.2, 0.5, 0.9]
    assert ServePlan(lambda_=0.5).measured_at(0.5) is None


def test_an_empty_curve_is_none() -> None:
    with pytest.raises(ValidationError, match="every row of the curve"):
        a_curve(**{key: [] for key in a_curve().model_dump(by_alias=True)})


def test_a_recipe_with_several_lambdas_is_kept_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    own = """
[serve.recipes.knobs]
lambda = 0.5
rules = [{lambda = 0.85, modules = ["ffn", "router"]}]
"""
    preset = parse_preset(PRESET + own, "small.toml")
    assert preset.serve is not None
    assert preset.serve.recipes["knobs"].rules[0].lambda_ == 0.85
    write_preset(preset, tmp_path / "again.toml")
    assert "knobs" in (tmp_path / "again.toml").read_text()
    with pytest.raises(PresetError, match="low is an effort and a recipe"):
        parse_preset(PRESET + own.replace("knobs", "low"), "small.toml")
    with pytest.raises(PresetError, match="rules"):
        parse_preset(PRESET + own.partition("rules")[0], "small.toml")
