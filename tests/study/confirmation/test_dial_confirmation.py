"""Every effort of a server with λ per request, held against the study's curve in one go."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mi_tui.cli.confirm_command import confirmation_lines
from mi_tui.engines.open import open_engine
from mi_tui.engines.openai.client import Endpoint, EndpointError
from mi_tui.engines.openai.events import ServedDial
from mi_tui.plan.serve import ServePlan
from mi_tui.serve.source import of_study
from mi_tui.study.confirmation.dial_confirmation import (
    Offer,
    confirm_offers,
    offers_of,
    prediction,
)
from mi_tui.study.confirmation.questions import ConfirmationPlan
from mi_tui.study.confirmation.server_confirmation import stored_confirmations
from mi_tui.study.control import create_study
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.cli.command import command
from tests.engines.openai_server import Served, serve
from tests.engines.scripted_server import Reply, scripted
from tests.export.views import an_answer
from tests.study.presets import small_preset


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = create_study(small_preset(problems=8, samples=2), tmp_path_factory.mktemp("study"))
    assert work(StudyFolder(path)) is StudyState.DONE
    return path


@pytest.fixture(scope="module")
def served(study: Path) -> Iterator[Served]:
    preset = small_preset()
    dial = of_study(study).named("pair").dial
    efforts = {"none": 0.0, "low": 0.5, "high": 1.0}
    dial = dial.model_copy(update={"efforts": efforts}).model_copy(update={"recipe": dial.at(0.5)})
    engine = open_engine(preset.engine, preset.pair)
    with serve(Served(engine, dial.recipe, dial=dial)) as running:
        yield running
    engine.close()


def confirm(study: Path, served: Served, *options: str) -> tuple[int, list[dict[str, object]]]:
    served.asked.clear()
    done = command("confirm", str(study), "--endpoint", served.url, *options, "--json")
    assert done.returncode in (0, 3), done.stderr
    found = json.loads(done.stdout)
    return done.returncode, found if isinstance(found, list) else [found]


def test_each_lambda_is_asked_once_under_its_own_name(study: Path, served: Served) -> None:
    _, found = confirm(study, served, "--samples", "1")
    assert [one["model"] for one in found] == ["pair@none", "pair", "pair@high"]
    assert [one["recipe"]["lambda"] for one in found] == [0.0, 0.5, 1.0]  # type: ignore[index]
    assert [one.get("efforts") for one in found] == [["none"], ["low"], ["high"]]
    assert {body["model"] for body in served.asked} == {"pair@none", "pair", "pair@high"}
    tokens = [one["comparisons"][1]["measured"]["value"] for one in found]  # type: ignore[index]
    assert tokens[0] < tokens[2], "Thinking writes more than Instruct"
    kept = stored_confirmations(str(study))
    assert [one.efforts for one in kept] == [("none",), ("low",), ("high",)]


def test_a_server_that_does_not_hear_lambda_does_not_hold(study: Path, served: Served) -> None:
    served.deaf = True
    try:
        status, (found,) = confirm(study, served, "--samples", "4", "--model", "pair@high")
    finally:
        served.deaf = False
    assert status == 3
    assert found["holds"] is False


def test_one_model_of_a_dial_is_held_against_its_own_lambda(study: Path, served: Served) -> None:
    _, (one,) = confirm(study, served, "--samples", "1", "--model", "pair@high")
    assert one["recipe"]["lambda"] == 1.0  # type: ignore[index]
    assert {body["model"] for body in served.asked} == {"pair@high"}
    with pytest.raises(EndpointError, match="has no model pair@swift, but pair, pair@none"):
        confirm_offers(
            str(study), Endpoint(served.url), ConfirmationPlan(model="pair@swift", samples=1)
        )


def test_lines_name_the_efforts(study: Path) -> None:
    kept = stored_confirmations(str(study))[:3]
    first = [confirmation_lines(one)[0] for one in kept]
    assert [line.split(" as ")[0] for line in first] == [
        "MI-0 (none)",
        "MI-0.5 (low)",
        "MI-1 (high)",
    ]


@pytest.mark.parametrize(
    "dial",
    [
        b"{}",
        b"[" * 5000,
        b'{"model": "pair", "lambda": 7, "efforts": []}',
        b'{"model": "pair", "lambda": 0.5, "efforts": [{"effort": "a"}]}',
        b'{"model": "pair", "lambda": NaN, "efforts": []}',
    ],
)
def test_a_dial_that_cannot_be_read_is_one_line(study: Path, dial: bytes) -> None:
    models = Reply(body=b'{"data": [{"id": "pair"}, {"id": "pair@low"}]}')
    with scripted([], models, Reply(body=dial)) as server:
        done = command("confirm", str(study), "--endpoint", server.url, "--samples", "1")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "dial" in done.stderr


def test_offers_are_one_for_each_lambda() -> None:
    dial = ServedDial.model_validate_json(
        json.dumps(
            {
                "model": "pair",
                "lambda": 0.5,
                "efforts": [
                    {"effort": name, "model": f"pair@{name}", "lambda": lambda_}
                    for name, lambda_ in {"high": 1, "none": 0, "minimal": 0, "medium": 0.5}.items()
                ],
            }
        )
    )
    assert offers_of(dial) == (
        Offer("pair@none", 0.0, ("none", "minimal")),
        Offer("pair", 0.5, ("medium",)),
        Offer("pair@high", 1.0, ("high",)),
    )


def test_a_prediction_is_read_off_the_curve() -> None:
    answer = an_answer(0.5)
    found = prediction(answer, 0.25, None)
    assert found.recipe.lambda_ == 0.25
    assert found.score.value == pytest.approx(0.35)
    assert found.tokens.low == pytest.approx(30)
    assert found.think_ratio.value == pytest.approx(0.25)
    assert prediction(answer, 0.5, None) is answer
    curve = answer.curve.model_copy(update={"lambdas": (0.2, 0.5, 1.0)})
    with pytest.raises(StudyError, match=r"says nothing of λ = 0\.1"):
        prediction(answer.model_copy(update={"curve": curve}), 0.1, None)


def test_a_served_plan_of_a_study_has_its_whole_curve(study: Path) -> None:
    source = of_study(study)
    assert source.dial.measured is not None
    assert len(source.dial.measured.lambdas) > 50
    assert set(source.dial.efforts) == {"none", "minimal", "low", "medium", "high"}
    assert ServePlan(name=source.dial.name, lambda_=0.5).name == source.dial.name
