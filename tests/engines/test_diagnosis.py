"""What doctor says of a pair is what the engine measured, and what it would choose."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mi_tui.cli.diagnosis import diagnosis_as_json, diagnosis_lines, diagnosis_tables
from mi_tui.cli.main import app
from mi_tui.engines.diagnosis import RECIPES, MeasuresCost, diagnose
from mi_tui.engines.transformers.weights.cost_model import Work
from tests.checkpoints.families import tiny_pair
from tests.engines.support import engine_for


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"))


def test_the_forecast_is_the_engines_own_choice(pair: tuple[Path, ...]) -> None:
    engine = engine_for(pair, "auto", batch=16)
    assert isinstance(engine, MeasuresCost)
    found = diagnose(engine, response_tokens=50)
    assert found.self_check.passed
    assert [at.sequences for at in found.steps] == [1, 4, 16]
    assert all(at.single > 0 and at.one_pass and at.one_pass > 0 for at in found.steps)
    model = engine.cost_model()
    for at in found.forecasts:
        work = Work(dict.fromkeys(range(RECIPES), at.each), 64, 50)
        one_pass, in_place = model.one_pass(work, 16), model.in_place(work, 16)
        assert (at.one_pass, at.in_place) == (one_pass, in_place)
        assert at.cheaper == ("one pass" if one_pass < in_place else "in place")


def test_without_one_pass_there_is_nothing_to_choose(pair: tuple[Path, ...]) -> None:
    found = diagnose(engine_for(pair, "in-place", batch=4))
    assert found.forecasts == ()
    assert all(at.one_pass is None for at in found.steps)
    assert len(diagnosis_tables(found)) == 2
    assert dict(diagnosis_lines(found))["way"] == found.capabilities.note
    assert json.loads(json.dumps(diagnosis_as_json(found)))["switch_ms"] > 0


def test_doctor_measures_a_presets_pair(pair: tuple[Path, ...], tmp_path: Path) -> None:
    preset = tmp_path / "tiny.toml"
    preset.write_text(
        f"""title = "Tiny"
[pair]
instruct = {json.dumps(str(pair[0]))}
thinking = {json.dumps(str(pair[1]))}
[[probes]]
kind = "arithmetic"
problems = 4
max_new_tokens = 16
[engine]
device = "cpu"
threads = 1
batch = 4
"""
    )
    printed = CliRunner().invoke(app, ["doctor", "--preset", str(preset), "--json"])
    assert printed.exit_code == 0, printed.output
    measured = json.loads(printed.stdout)["pair"]
    assert measured["mixes_recipes"]
    assert {at["chosen"] for at in measured["forecasts"]} <= {"one pass", "in place"}
