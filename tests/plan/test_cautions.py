"""What looks like a slip in a valid preset."""

import pytest

from mi_tui.plan.budget import parse_budget
from mi_tui.plan.cautions import cautions
from tests.tui import views


@pytest.mark.parametrize("spec", ["tokens<=602000", "p95 tokens<=321"])
def test_a_limit_that_no_response_can_reach_is_told(spec: str) -> None:
    preset = views.preset().model_copy(update={"budget": parse_budget(spec)})
    (found,) = cautions(preset)
    assert "longer than 320 tokens" in found


@pytest.mark.parametrize("spec", ["tokens<=320", "seconds<=400", "score>=95%", "knee"])
def test_other_limits_are_not(spec: str) -> None:
    preset = views.preset().model_copy(update={"budget": parse_budget(spec)})
    assert cautions(preset) == ()


def test_held_out_problems_are_told_where_the_answer_is_about_all_of_them() -> None:
    plain = views.preset()
    here = plain.model_copy(update={"budget": parse_budget("knee", about="these-problems")})
    (found,) = cautions(here)
    assert "Some problems of arithmetic are held out" in found
    probe = plain.probes[0].model_copy(update={"held_out": 0.0})
    assert cautions(here.model_copy(update={"probes": (probe,)})) == ()


def test_a_cap_beyond_the_context_is_told() -> None:
    assert cautions(views.preset(), 320) == ()
    (found,) = cautions(views.preset(), 256)
    assert found == "The token cap 320 is beyond the model's context of 256 tokens"


def test_a_thinking_cap_that_cuts_nothing_is_told() -> None:
    preset = views.preset().with_thinking_caps([319])
    assert cautions(preset) == ()
    (found,) = cautions(preset.with_thinking_caps([320]))
    assert found == (
        "Thinking · thought ≤ 320 cuts no thought: no response can be longer than 320 tokens"
    )
