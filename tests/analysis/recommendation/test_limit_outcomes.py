"""Several limits that hold together, and limits on one probe alone."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.decision import Decision, decide
from mi_tui.analysis.recommendation.design import Design
from mi_tui.analysis.recommendation.knowledge_gradient import next_lambdas
from mi_tui.analysis.recommendation.limit_outcomes import loosened
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.recommendation.verdict import answerable
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import CurveError, Curves
from mi_tui.plan.budget import Budget, Constraint, parse_budget
from tests.analysis.synthetic import World, dipping_tokens, step_score, step_thinking

DRAWS = 20_000
WORLD = World(problems=100, seed=7).sweep(
    (0.0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0), samples=4
)
DATA = WORLD.observations()
LATENCY = Latency(0.1, 0.01, relative_error=0.02)


def ask(budget: str, data: Observations = DATA) -> Recommendation:
    return recommend(data, parse_budget(budget), latency=LATENCY)


def curves(score: Floats, tokens: Floats) -> Curves:
    """Curves of which only the draws matter."""
    points = score.shape[1]
    square, ones = np.eye(points) * 1e-4, np.ones(points)
    lambdas = np.linspace(0, 1, points)
    return Curves(lambdas, score, tokens, 2 * tokens, 0 * score, square, square, ones, ones)


def hand_in_hand(correlation: float) -> Decision:
    """One uncertain λ whose score and length vary together, beside two that keep nothing."""
    random = np.random.default_rng(3)
    common, own = random.standard_normal((2, DRAWS))
    other = correlation * common + np.sqrt(1 - correlation**2) * own
    score = np.column_stack([np.full(DRAWS, 0.2), 0.70 + 0.05 * common, np.full(DRAWS, 0.9)])
    tokens = np.column_stack([np.full(DRAWS, 9e3), 1000 * np.exp(0.1 * other), np.full(DRAWS, 9e3)])
    return decide(curves(score, tokens), parse_budget("tokens<=1100 and score>=0.65"))


@pytest.mark.parametrize("correlation", [-0.95, 0.0, 0.95])
def test_the_joint_probability_is_that_of_the_draws_and_no_product(correlation: float) -> None:
    decision = hand_in_hand(correlation)
    inside = [limit.margin.values[:, 1] >= 0 for limit in decision.limits]
    assert decision.probability[1] == pytest.approx(np.mean(inside[0] & inside[1]))
    product = float(inside[0].mean() * inside[1].mean())
    normal = NormalDist().cdf
    assert inside[1].mean() == pytest.approx(normal(1.0), abs=0.01)
    # Long responses that score well: where one limit is broken, the other is kept.
    if correlation == 0.95:
        assert decision.probability[1] < product - 0.02
    elif correlation == -0.95:
        assert decision.probability[1] > product + 0.05
    else:
        assert decision.probability[1] == pytest.approx(product, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(50, 150), st.floats(0.3, 0.8))
def test_all_limits_are_kept_no_likelier_than_any_of_them(
    seed: int, tokens: float, score: float
) -> None:
    random = np.random.default_rng(seed)
    drawn = curves(
        random.uniform(0.2, 0.9, (200, 5)), np.asarray(np.exp(random.normal(4.6, 0.4, (200, 5))))
    )
    one = Budget(objective="score-within-tokens", limit=tokens)
    other = Constraint(objective="fewest-tokens-for-score", limit=score)
    both = decide(drawn, one.model_copy(update={"also": (other,)}))
    apart = decide(drawn, one).probability
    assert (both.probability <= apart + 1e-12).all()
    kept = [(limit.margin.values >= 0).mean(axis=0) for limit in both.limits]
    assert (both.probability >= sum(kept) - 1 - 1e-12).all()
    swapped = Budget(objective="fewest-tokens-for-score", limit=score, also=(one.limits[0],))
    assert (decide(drawn, swapped).probability == both.probability).all()


def test_a_second_limit_that_is_always_kept_changes_no_answer() -> None:
    alone, both = ask("tokens<=110"), ask("tokens<=110 and score>=0.05")
    assert both.lambda_ == alone.lambda_
    assert both.probability == alone.probability
    assert (both.score, both.tokens, both.resolved) == (alone.score, alone.tokens, alone.resolved)
    assert alone.limits == ()
    assert [limit.limit for limit in both.limits] == ["tokens<=110", "score>=0.05"]


def test_the_answer_names_the_limit_that_binds_and_what_loosening_gives() -> None:
    found = ask("tokens<=110 and score>=0.7")
    assert found.feasible
    tokens, score = found.limits
    assert (tokens.binds, score.binds) == (True, False)
    assert tokens.loosened == "tokens<=121"
    assert tokens.loosened_lambda == ask("tokens<=121 and score>=0.7").lambda_
    truth = step_score(tokens.loosened_lambda) - step_score(found.lambda_)
    assert tokens.gain == pytest.approx(truth, abs=0.03)
    assert tokens.gain > 0.005
    assert score.gain == 0
    assert "tokens<=110 binds: tokens<=121 would give" in found.sentence
    assert f"{100 * tokens.gain:.1f} points more (λ = {tokens.loosened_lambda:.2f})" in (
        found.sentence
    )
    assert "score>=0.63 would give nothing" in found.sentence
    assert "it meets both limits with a probability of" in found.sentence
    assert tokens.measured is not None
    assert tokens.measured.value == pytest.approx(found.tokens.value)
    assert score.measured == found.score


def test_for_fewest_tokens_the_score_binds() -> None:
    found = ask("score>=0.6 and p95 tokens<=400")
    score, tail = found.limits
    assert (score.binds, tail.binds) == (True, False)
    assert "score>=0.54 would save" in found.sentence
    assert tail.measured is not None
    assert tail.measured.value > 1.3 * found.tokens.value


def test_limits_that_exclude_each_other_name_the_nearest_and_what_each_alone_gives() -> None:
    found = ask("tokens<=70 and score>=0.8")
    assert not found.feasible
    assert not found.decided
    assert found.probability < 0.05
    for limit, alone in zip(found.limits, ("tokens<=70", "score>=0.8"), strict=True):
        assert limit.limit == alone
        assert limit.alone is not None
        assert limit.alone.feasible
        assert not limit.binds
    apart = found.limits[0].alone
    assert apart is not None
    assert apart.lambda_ == ask("tokens<=70").lambda_
    assert "both limits with a probability of 0 %" in found.sentence
    assert f"alone, tokens<=70 gives λ = {apart.lambda_:.2f} with" in found.sentence
    assert "; score>=0.8 gives λ = " in found.sentence
    nearest = found.nearest_budget
    assert nearest is not None
    # Only the first limit is moved, to what the shortest λ with such a score needs.
    assert nearest.also == parse_budget("knee and score>=0.8").also
    at = np.arange(0, 1.01, 0.01)
    needed = min(dipping_tokens(x) for x in at if step_score(x) >= 0.8)
    assert needed < (nearest.limit or 0) < 1.5 * needed
    assert recommend(DATA, nearest).feasible


def test_a_limit_in_seconds_waits_for_a_speed_and_the_others_do_not() -> None:
    budget = parse_budget("tokens<=110 and seconds<=1 and score>=0.5")
    assert answerable(budget, None).spec == "tokens<=110 and score>=0.5"
    assert answerable(budget, LATENCY) == budget
    assert answerable(parse_budget("seconds<=1 and tokens<=9"), None).spec == "knee and tokens<=9"
    found = ask("score>=0.5 and seconds<=1")
    seconds = found.limits[1]
    assert seconds.measured is not None
    assert found.seconds is not None
    assert seconds.measured.value == pytest.approx(found.seconds.value, rel=0.03)


def test_where_no_limit_is_in_the_way_none_is_said_to_bind() -> None:
    found = ask("tokens<=1500 and score>=0.1")
    assert not any(limit.binds for limit in found.limits)
    assert "no limit binds: without any of them the choice would be the same" in found.sentence


@pytest.mark.parametrize(
    ("limit", "looser"),
    [("tokens<=2000", "tokens<=2200"), ("p95 seconds<=0.4", "p95 seconds<=0.44"),
     ("score>=95%", "score>=85.5%"), ("score[a]>=0.6", "score[a]>=0.54"),
     ("tokens<=7", "tokens<=7.7")],
)  # fmt: skip
def test_a_limit_is_loosened_by_a_tenth(limit: str, looser: str) -> None:
    assert loosened(parse_budget(limit).limits[0]).spec == looser


def test_without_a_difference_in_score_the_shortest_that_keeps_all_is_taken() -> None:
    flat = World(problems=60, seed=5, score=lambda _: 0.7).sweep().observations()
    found = ask("knee and tokens<=150 and score>=0.4", flat)
    assert "no-difference" in found.remarks
    shortest = min(point.value for point in found.curve.tokens)
    assert found.tokens.value == pytest.approx(shortest, rel=0.02)
    assert "no significant difference between the scores of the λ that meet the limits" in (
        found.sentence
    )
    idle = ask("tokens<=2000 and score>=0.4", flat)
    assert "limit-above-cap" in idle.remarks
    assert "a limit on tokens is not below the token cap, so every response" in idle.sentence


def two_probes(samples: int = 4, hard: float = 0.35) -> Observations:
    """An easy probe, and a hard one with long responses."""
    easy = World(problems=60, seed=1)
    hard_one = World(
        problems=60,
        seed=2,
        score=lambda x: hard * step_score(x),
        tokens=lambda x: 4 * dipping_tokens(x),
        thinking=step_thinking,
    )
    grid = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
    first, second = (world.sweep(grid, samples).observations() for world in (easy, hard_one))
    return Observations(
        first.recipes,
        (
            *(replace(row, probe="easy") for row in first.problems),
            *(replace(row, probe="hard") for row in second.problems),
        ),
        np.concatenate([first.recipe, second.recipe]),
        np.concatenate([first.problem, second.problem + len(first.problems)]),
        *(
            np.concatenate([getattr(first, name), getattr(second, name)])
            for name in ("sample", "score", "tokens", "thinking", "truncated", "answer")
        ),
    )


BOTH = two_probes()


def test_each_probe_has_a_limit_of_its_own() -> None:
    found = ask("score[hard]>=0.2 and tokens[easy]<=110", BOTH)
    assert found.feasible
    assert 0.35 * step_score(found.lambda_) > 0.19
    assert dipping_tokens(found.lambda_) < 1.06 * 110
    hard, easy = found.limits
    assert hard.measured is not None
    assert easy.measured is not None
    assert hard.measured.value == pytest.approx(0.35 * step_score(found.lambda_), abs=0.05)
    assert easy.measured.value == pytest.approx(dipping_tokens(found.lambda_), rel=0.1)
    # Of both probes together, score and length lie between.
    assert hard.measured.value < found.score.value
    assert easy.measured.value < found.tokens.value
    assert "on hard" in found.sentence


def test_one_limit_on_one_probe_is_shown_by_itself() -> None:
    found = ask("tokens[hard]<=400", BOTH)
    (limit,) = found.limits
    assert limit.alone is None
    assert limit.binds
    assert 4 * dipping_tokens(found.lambda_) < 1.06 * 400
    assert "it meets the limit with a probability" in found.sentence


def test_a_limit_on_a_probe_of_no_rollouts_is_refused_in_a_line() -> None:
    with pytest.raises(
        CurveError, match=r"no probe hart: did you mean hard\? The study asks easy, hard"
    ):
        ask("tokens[hart]<=400", BOTH)


def test_these_problems_narrow_every_limit() -> None:
    budget = "tokens[easy]<=110 and score[hard]>=0.2"
    new, here = (
        recommend(BOTH, parse_budget(budget, about=about))
        for about in ("new-problems", "these-problems")
    )
    for wide, narrow in zip(new.limits, here.limits, strict=True):
        assert wide.measured is not None
        assert narrow.measured is not None
        width = narrow.measured.high - narrow.measured.low
        assert width < 0.85 * (wide.measured.high - wide.measured.low)


def test_the_search_asks_where_the_joint_decision_is_open() -> None:
    """Of two λ that score alike, only one is unsure to keep the second limit."""
    random = np.random.default_rng(0)
    score = np.tile([0.3, 0.5, 0.72, 0.75, 0.6], (400, 1)) + 0.02 * random.standard_normal((400, 5))
    tokens = np.tile([50.0, 60.0, 100.0, 118.0, 300.0], (400, 1))
    tokens *= np.exp(0.03 * random.standard_normal((400, 5)))
    known = curves(score, tokens)
    known = replace(
        known,
        score_covariance=np.diag(np.full(5, 4e-4)),
        log_tokens_covariance=np.diag(np.full(5, 9e-4)),
    )
    design = Design(known.lambdas, np.full(5, 40.0), np.full(5, 40.0), 40, 400)
    for spec, where in (
        ("score>=0.3 and tokens<=120", None),
        ("tokens<=120 and score>=0.71", 0.75),
    ):
        budget = parse_budget(spec)
        chosen = next_lambdas(
            known, decide(known, budget), budget, design, size=16, horizon=40_000.0, room=400
        )
        assert sum(count for _, count in chosen) == 16
        if where is not None:
            asked = {lambda_ for lambda_, _ in chosen}
            assert asked <= {0.5, 0.75}
