"""Efforts are points of the measured front, and a plan keeps what was measured of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.recommendation.efforts import ENOUGH, chosen_efforts, serve_plan
from mi_tui.analysis.results import Estimate
from mi_tui.plan.library import find_preset
from mi_tui.plan.recipe import Decoding, interpolation
from mi_tui.plan.scope import ModuleKind, Scope
from tests.export.views import an_answer


def point(score: float, tokens: float) -> tuple[Estimate, Estimate]:
    return (
        Estimate(value=score, low=score - 0.1, high=score + 0.1),
        Estimate(value=tokens, low=tokens - 1, high=tokens + 1),
    )


def test_each_effort_is_the_shortest_that_keeps_its_share_of_the_best_score() -> None:
    points = {
        0.0: point(0.50, 100),
        0.2: point(0.73, 150),  # over 90 % of 0.8
        0.4: point(0.76, 400),  # longer than what follows, and no better: not on the front
        0.6: point(0.78, 300),  # over 97 %
        0.8: point(0.80, 700),
        1.0: point(0.79, 900),
    }
    assert chosen_efforts(points) == {"low": 0.2, "medium": 0.6, "high": 0.8}


def test_a_flat_curve_has_one_lambda_for_all() -> None:
    points = {0.0: point(0.5, 100), 0.5: point(0.5, 200), 1.0: point(0.5, 300)}
    assert set(chosen_efforts(points).values()) == {0.0}
    assert chosen_efforts({}) == {}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 1e5)), min_size=1, max_size=12))
def test_efforts_grow_in_score_and_length_and_no_point_beats_one(
    measured: list[tuple[float, float]],
) -> None:
    points = {at / 100: point(*each) for at, each in enumerate(measured)}
    efforts = chosen_efforts(points)
    chosen = [tuple(part.value for part in points[efforts[name]]) for name in ENOUGH]
    assert [score for score, _ in chosen] == sorted(score for score, _ in chosen)
    assert [tokens for _, tokens in chosen] == sorted(tokens for _, tokens in chosen)
    best = max(score for score, _ in measured)
    for (score, tokens), share in zip(chosen, ENOUGH.values(), strict=True):
        assert score >= share * best
        assert not any(s >= share * best and t < tokens for s, t in measured)


def test_the_plan_has_the_recommended_lambda_with_its_own_estimate() -> None:
    _, preset = find_preset("demo")
    answer = an_answer(0.55)
    plan = serve_plan(answer, preset)
    assert plan.lambda_ == 0.55
    assert plan.efforts["none"] == plan.efforts["minimal"] == 0.0
    assert set(ENOUGH) < set(plan.efforts)
    own = plan.measured_at(0.55)
    assert own is not None
    assert (own.score, own.score_low) == (answer.score.value, answer.score.low)
    for lambda_ in plan.efforts.values():
        assert plan.measured_at(lambda_) is not None


def test_what_differs_from_the_preset_is_said_and_nothing_else() -> None:
    _, preset = find_preset("demo")
    answer = an_answer()
    same = serve_plan(
        answer.model_copy(
            update={"recipe": preset.recipe(0.5)},
        ),
        preset,
    )
    assert (same.scope, same.decoding) == (None, None)
    scope = Scope(modules=(ModuleKind.FFN,))
    other = interpolation(0.5, scope).model_copy(update={"decoding": Decoding(temperature=0.1)})
    plan = serve_plan(answer.model_copy(update={"recipe": other}), preset)
    assert plan.scope == scope
    assert plan.decoding == Decoding(temperature=0.1)


@pytest.mark.parametrize("whole", [False, True])
def test_a_thin_curve_keeps_tenths_efforts_and_the_recommendation(whole: bool) -> None:
    _, preset = find_preset("demo")
    answer = an_answer(0.55)
    lambdas = tuple(round(at * 0.02, 2) for at in range(51))
    estimates = tuple(point(0.2 + 0.6 * each, 10 + 100 * each) for each in lambdas)
    curve = answer.curve.model_copy(
        update={
            "lambdas": lambdas,
            "score": tuple(each[0] for each in estimates),
            "tokens": tuple(each[1] for each in estimates),
        }
    )
    plan = serve_plan(answer.model_copy(update={"curve": curve}), preset, whole=whole)
    assert plan.measured is not None
    count = len(plan.measured.lambdas)
    assert count == 52 if whole else 12 <= count <= 15
