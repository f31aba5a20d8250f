from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.decision import DecisionError, decide
from mi_tui.analysis.recommendation.design import Design
from mi_tui.analysis.recommendation.front import pareto_front
from mi_tui.analysis.recommendation.knowledge_gradient import next_lambdas, value_of_doubling
from mi_tui.analysis.recommendation.recommend import _shortest, recommend
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import interpolation
from tests.analysis.synthetic import GRID, World, dipping_tokens, step_score, step_thinking

LATENCY = Latency(0.1, 0.01, relative_error=0.02)
WORLD = World(problems=120, held_out=20, seed=7).sweep(
    (0.0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0), samples=4
)
DATA = WORLD.observations()
LAMBDAS = np.round(np.linspace(0, 1, 101), 2)
SCORE = np.array([step_score(x) for x in LAMBDAS])
TOKENS = np.array([dipping_tokens(x) for x in LAMBDAS])


def ask(budget: str) -> Recommendation:
    return recommend(DATA, parse_budget(budget), latency=LATENCY)


@pytest.mark.parametrize("limit", [80, 110, 150])
def test_the_best_score_within_tokens(limit: int) -> None:
    found = ask(f"tokens<={limit}")
    best = SCORE[limit >= TOKENS].max()
    assert found.feasible
    assert found.probability >= 0.9
    # The problems drawn are a little longer or shorter than all problems are.
    assert dipping_tokens(found.lambda_) <= 1.06 * limit
    assert step_score(found.lambda_) > best - 0.05
    assert found.lambda_low <= found.lambda_ <= found.lambda_high
    assert found.score.value == pytest.approx(step_score(found.lambda_), abs=0.08)


def test_a_limit_in_seconds_is_one_in_tokens() -> None:
    seconds = ask(f"seconds<={0.1 + 0.01 * 110}")
    assert seconds.lambda_ == pytest.approx(ask("tokens<=110").lambda_, abs=0.03)
    assert seconds.seconds is not None
    assert seconds.seconds.value == pytest.approx(LATENCY.seconds(seconds.tokens.value))


def test_a_95th_percentile_is_stricter_than_a_mean() -> None:
    assert ask("p95 tokens<=150").tokens.value < ask("tokens<=150").tokens.value - 20


def test_seconds_without_a_speed_are_refused() -> None:
    with pytest.raises(DecisionError, match="time to first token"):
        recommend(DATA, parse_budget("seconds<=2"))


def test_the_fewest_tokens_for_a_score() -> None:
    found = ask("score>=0.6")
    assert found.feasible
    assert step_score(found.lambda_) >= 0.6
    assert found.tokens.value < TOKENS[SCORE >= 0.6].min() * 1.15


def test_a_share_of_thinking_is_judged_on_common_draws() -> None:
    found = ask("score>=95%")
    assert found.feasible
    assert step_score(found.lambda_) >= 0.95 * SCORE[-1]
    assert found.tokens.value < 0.7 * TOKENS[-1]


def test_the_knee_lies_where_the_step_ends() -> None:
    assert ask("knee").lambda_ == pytest.approx(0.59, abs=0.05)


@pytest.mark.parametrize("budget", ["tokens<=10", "score>=0.99"])
def test_an_infeasible_budget_names_the_nearest(budget: str) -> None:
    found = ask(budget)
    assert not found.feasible
    assert found.resolved
    assert found.probability < 0.1
    assert "no λ is sure to keep" in found.sentence
    nearest = LAMBDAS[TOKENS.argmin()] if "tokens" in budget else LAMBDAS[SCORE.argmax()]
    assert found.lambda_ == pytest.approx(nearest, abs=0.12)


def test_too_little_data_are_not_resolved() -> None:
    few = World(problems=8, seed=3).sweep(samples=1).observations()
    found = recommend(few, parse_budget("tokens<=110"), rollouts_per_second=10)
    assert not found.resolved
    assert found.more_rollouts is not None
    assert found.more_rollouts > 50
    assert found.more_seconds == found.more_rollouts / 10
    assert f"about {found.more_rollouts:,} more rollouts" in found.sentence


def test_equal_stores_give_equal_answers() -> None:
    assert ask("tokens<=110") == ask("tokens<=110")


def test_savings_and_stages_are_against_thinking() -> None:
    found = ask("knee")
    at = round(100 * found.lambda_)
    saved = found.tokens_saved
    assert saved.low <= 1 - TOKENS[at] / TOKENS[-1] <= saved.high
    assert found.score_given_up.low <= SCORE[-1] - SCORE[at] <= found.score_given_up.high
    limits = found.stage_limits
    assert limits.first is not None
    assert limits.second is not None
    assert limits.first.value == pytest.approx(0.41, abs=0.04)
    assert limits.second.value == pytest.approx(0.59, abs=0.04)
    assert found.stage in (2, 3)


def test_alternatives_lie_on_the_front_and_apart() -> None:
    found = ask("tokens<=110")
    named = [found.lambda_, *(other.lambda_ for other in found.alternatives)]
    assert 1 <= len(found.alternatives) <= 3
    assert min(abs(a - b) for i, a in enumerate(named) for b in named[:i]) > 0.04
    for other in found.alternatives:
        better = other.score.value > found.score.value
        assert better or other.tokens.value < found.tokens.value
        assert f"λ = {other.lambda_:.2f}" in other.sentence


def test_nothing_beats_the_front() -> None:
    random = np.random.default_rng(0)
    score, tokens = random.random(50), random.random(50)
    front = set(pareto_front(score, tokens).tolist())
    for point in range(50):
        beaten = ((score > score[point]) & (tokens <= tokens[point])).any()
        assert (point in front) != beaten


def test_held_out_problems_confirm_and_never_choose() -> None:
    before = ask("tokens<=110")
    world = replace(WORLD, rows=list(WORLD.rows), recipes=list(WORLD.recipes))
    world.random = np.random.default_rng(1)
    world.difficulty, world.length = WORLD.difficulty, WORLD.length
    for problem in range(100, 120):
        world.ask(before.recipe, problem, 0)
        world.ask(interpolation(0.9), problem, 0)
    after = recommend(
        world.observations(), parse_budget("tokens<=110"), latency=LATENCY, dtype="bfloat16"
    )
    assert after.confirmation is not None
    assert after.confirmation.dtype == "bfloat16"
    assert after.confirmation.rollouts == 20
    assert after.confirmation.rival == 0.9
    assert "held-out" in after.confirmation.sentence
    assert after.model_copy(update={"confirmation": None}) == before


@pytest.mark.parametrize("budget", ["tokens<=30", "p95 tokens<=50", "score>=0.99"])
def test_the_nearest_feasible_budget_is_named_and_can_be_kept(budget: str) -> None:
    found = ask(budget)
    assert not found.feasible
    nearest = found.nearest_budget
    assert nearest is not None
    assert nearest.in_words in found.sentence
    again = ask(nearest.spec)
    assert again.feasible
    assert again.nearest_budget is None


def test_all_of_thinkings_score_can_always_be_had() -> None:
    assert ask("score>=100%").feasible


def test_the_nearest_limit_in_seconds_is_named() -> None:
    found = ask("seconds<=0.4")
    assert found.nearest_budget is not None
    assert found.nearest_budget.objective == "score-within-seconds"
    assert ask(found.nearest_budget.spec).feasible


def test_a_95th_percentile_of_seconds_is_one_of_tokens() -> None:
    found = ask(f"p95 seconds<={LATENCY.seconds(200)}")
    assert found.feasible
    assert found.lambda_ == pytest.approx(ask("p95 tokens<=200").lambda_, abs=0.03)


def test_probes_count_by_their_weight() -> None:
    def answer(hard: float) -> Recommendation:
        """One probe wants no thinking, the other all of it."""
        short = World(problems=80, seed=1, score=lambda x: 0.9 - 0.6 * x).sweep(samples=3)
        long = World(problems=80, seed=2, score=lambda x: 0.3 + 0.6 * x).sweep(samples=3)
        return recommend(_joined(short, long, hard), parse_budget("tokens<=1000"))

    assert answer(0.2).lambda_ < 0.2
    assert answer(0.8).lambda_ > 0.8


def _joined(first: World, second: World, weight: float) -> Observations:
    """Two worlds as the probes of one study, the second with the given weight."""
    parts = first.observations(), second.observations()
    number = first.problems
    problems = tuple(
        replace(problem, probe=name, weight=share / number)
        for part, name, share in zip(parts, "ab", (1 - weight, weight), strict=True)
        for problem in part.problems
    )
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("recipe", "sample", "score", "tokens", "thinking", "truncated", "answer")
    }
    problem = np.concatenate([parts[0].problem, parts[1].problem + number])
    return Observations(parts[0].recipes, problems, problem=problem, **columns)


def test_the_minutes_that_are_missing_are_said() -> None:
    few = World(problems=8, seed=3).sweep(samples=1).observations()
    found = recommend(few, parse_budget("tokens<=110"), rollouts_per_second=0.1)
    assert found.more_seconds is not None
    assert f"({found.more_seconds / 60:.0f} minutes) would settle it" in found.sentence


def test_the_rollouts_that_are_said_to_do_are_of_the_right_size() -> None:
    def found(problems: int) -> Recommendation:
        world = World(problems=problems, seed=11).sweep(samples=1)
        return recommend(world.observations(), parse_budget("tokens<=110"), tolerance=0.02)

    few = found(6)
    assert not few.resolved
    assert few.more_rollouts is not None
    enough = 6 + few.more_rollouts // len(GRID)
    later = found(4 * enough)
    assert later.resolved
    assert later.expected_loss < 0.6 * few.expected_loss


def test_the_estimates_of_an_answer_hold_the_truth() -> None:
    found = ask("tokens<=110")
    at = round(100 * found.lambda_)
    for estimate, truth in (
        (found.score, SCORE[at]),
        (found.tokens, TOKENS[at]),
        (found.think_ratio, step_thinking(found.lambda_)),
    ):
        assert estimate.low - 0.02 <= truth <= 1.1 * estimate.high
        assert estimate.low < estimate.value < estimate.high


def test_two_or_three_alternatives_where_the_front_has_them() -> None:
    for budget in ("tokens<=80", "tokens<=110", "tokens<=150", "score>=0.6", "score>=95%"):
        assert 2 <= len(ask(budget).alternatives) <= 3


def test_the_winners_curse_is_said_as_it_is() -> None:
    before = ask("tokens<=110")
    world = replace(WORLD, rows=list(WORLD.rows), recipes=list(WORLD.recipes))
    world.random = np.random.default_rng(1)
    # The held-out problems happen to be much harder than the search's.
    world.difficulty, world.length = WORLD.difficulty - 4.0, WORLD.length
    for problem in range(100, 120):
        world.ask(before.recipe, problem, 0)
    held_out = recommend(world.observations(), parse_budget("tokens<=110")).confirmation
    assert held_out is not None
    assert held_out.score.value < before.score.low
    points = 100 * (before.score.value - held_out.score.value)
    assert f"{points:.1f} points below the search's estimate" in held_out.sentence
    assert "does not hold" in held_out.sentence


def test_the_interval_of_lambda_is_the_shortest_that_holds_nine_tenths() -> None:
    random = np.random.default_rng(3)
    values = np.concatenate([random.normal(0.3, 0.02, 950), np.full(50, 0.9)])
    low, high = _shortest(values, 0.9)
    assert 0.26 < low < high < 0.35
    assert ((values >= low) & (values <= high)).mean() >= 0.9


def test_nothing_counts_as_learnt_while_problems_were_not_asked() -> None:
    world = World(problems=200, seed=5)
    for lambda_ in GRID:
        for problem in range(12):
            world.ask(interpolation(lambda_), problem, 0)
    found = recommend(world.observations(), parse_budget("tokens<=110"), tolerance=1e-4)
    assert not found.resolved


def test_when_none_is_likely_to_keep_the_limit_the_nearest_is_named() -> None:
    # Where little was asked the wide interval still leaves the limit a little probability.
    world = World(problems=80, seed=9).sweep((0.4, 0.45, 0.5, 0.55, 0.6), samples=3)
    world.ask(interpolation(0.0), 0, 0)
    found = recommend(world.observations(), parse_budget("tokens<=45"))
    assert not found.feasible
    assert found.lambda_ == pytest.approx(LAMBDAS[TOKENS.argmin()], abs=0.1)


def two_curves(sure: float, unsure: float) -> Curves:
    """Log margins below 100 tokens at λ = 0, known well, and at λ = 0.48, known badly."""
    random = np.random.default_rng(4)
    spreads = np.array([0.01, 0.3])
    margin = np.array([sure, unsure]) + spreads * random.standard_normal((2000, 2))
    tokens = 100 * np.exp(-margin)
    score, one = np.full_like(tokens, 0.5), np.ones(2)
    scores, lengths = 1e-4 * np.eye(2), np.diag(spreads**2)
    return Curves(
        np.array([0.0, 0.48]), score, tokens, tokens, 0 * tokens, scores, lengths, one, one
    )


def curves_with(
    scores: Sequence[float], margins: Sequence[float], spread: float | Floats
) -> Curves:
    """Known scores, and log margins below 100 tokens that are known with such an error each."""
    points = len(scores)
    errors = np.random.default_rng(5).standard_normal((2000, points))
    tokens = 100 * np.exp(-np.array(margins) - spread * errors)
    score, ones = np.broadcast_to(np.array(scores), tokens.shape), np.ones(points)
    return Curves(
        np.linspace(0, 1, points),
        score,
        tokens,
        tokens,
        0 * tokens,
        1e-4 * np.eye(points),
        spread**2 * np.eye(points),
        ones,
        ones,
    )


@pytest.mark.parametrize(("last", "expected"), [(0.495, 1), (0.505, 2), (0.55, 2)])
def test_the_confidence_is_the_only_caution(last: float, expected: int) -> None:
    """Both higher λ keep the limit with the confidence, the last one just so."""
    found = decide(
        curves_with([0.2, 0.5, last], [0.9, 0.5, 0.14], spread=0.1), parse_budget("tokens<=100")
    )
    assert (found.probability >= 0.9).all()
    assert found.chosen == expected


def test_where_none_is_sure_the_best_of_the_about_equally_likely_is_chosen() -> None:
    """Three λ keep the limit with probabilities of about 62, 58 and 31 %."""
    found = decide(
        curves_with([0.3, 0.6, 0.9], [0.03, 0.02, -0.05], spread=0.1), parse_budget("tokens<=100")
    )
    assert not found.feasible
    assert found.probability.argmax() == 0
    assert found.chosen == 1


@pytest.mark.parametrize(("unsure", "expected"), [(-0.05, 1), (-2.0, 0)])
def test_while_some_lambda_may_keep_the_limit_the_likeliest_is_chosen(
    unsure: float, expected: int
) -> None:
    found = decide(two_curves(-0.1, unsure), parse_budget("tokens<=100"))
    assert not found.feasible
    assert found.chosen == expected


def test_without_a_feasible_choice_the_search_looks_where_one_may_be() -> None:
    budget = parse_budget("tokens<=100")
    curves = two_curves(-0.3, -0.7)
    decision = decide(curves, budget)
    assert decision.chosen == 0
    asked = Design(np.array([0.0, 0.48]), np.array([100.0, 4.0]), np.array([100.0, 4.0]), 100, 100)
    found = next_lambdas(curves, decision, budget, asked, size=8, horizon=1600.0, room=400)
    assert max(found, key=lambda part: part[1])[0] == 0.48


def test_a_slight_chance_is_not_pursued_with_all_that_is_left() -> None:
    """The known λ would need a rare stroke of luck, of the other hardly anything is known."""
    budget = parse_budget("tokens<=100")
    curves = curves_with([0.5, 0.4], [-0.06, -0.45], spread=np.array([0.05, 0.3]))
    decision = decide(curves, budget)
    assert not decision.feasible
    asked = Design(np.array([0.0, 1.0]), np.array([100.0, 4.0]), np.array([100.0, 4.0]), 900, 900)
    found = next_lambdas(curves, decision, budget, asked, size=8, horizon=9e4, room=900)
    assert found[0][0] == 1.0  # the first part of the batch


def test_an_answer_about_these_problems_is_surer_and_says_so() -> None:
    data = World(problems=30, seed=8).sweep(samples=24).observations()
    of_new = recommend(data, parse_budget("tokens<=100"))
    here = recommend(data, parse_budget("tokens<=100", about="these-problems"))
    assert "these problems themselves" in here.sentence
    assert "these problems" not in of_new.sentence

    def width(found: Recommendation) -> float:
        return found.score.high - found.score.low

    assert width(here) < 0.7 * width(of_new)
    assert here.tokens.value >= of_new.tokens.value, "less caution, nearer to the limit"


def test_more_samples_of_known_problems_are_worth_more_where_they_are_what_counts() -> None:
    budget = parse_budget("tokens<=100", about="these-problems")
    curves = curves_with([0.5, 0.4], [-0.02, -0.06], spread=np.array([0.05, 0.05]))
    decision = decide(curves, budget)
    lambdas, often = np.array([0.0, 1.0]), np.array([400.0, 400.0])

    def worth(*, fixed: bool) -> float:
        design = Design(lambdas, often, np.array([40.0, 40.0]), 40, 40, fixed)
        return value_of_doubling(curves, budget, decision, design)

    assert worth(fixed=True) > worth(fixed=False)
