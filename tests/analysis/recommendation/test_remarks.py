"""What an answer says where the probe, the limit or the scores leave little to choose."""

import numpy as np
import pytest

from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.results import Recommendation
from mi_tui.analysis.search.policy import Spent, Stop, next_batch
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.search import Search
from tests.analysis.synthetic import CAP, GRID, World, dipping_tokens, preset, step_score

DENSE = (0.0, 0.2, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0)
SHORTEST = float(np.linspace(0, 1, 101)[[dipping_tokens(x / 100) for x in range(101)].index(
    min(dipping_tokens(x / 100) for x in range(101))
)])  # fmt: skip


def ask(budget: str, score: float, seed: int = 0) -> Recommendation:
    world = World(problems=100, seed=seed, score=lambda _: score).sweep(DENSE, samples=4)
    return recommend(world.observations(), parse_budget(budget))


@pytest.mark.parametrize("budget", ["knee", "tokens<=120", "score>=95%", "score>=0.8"])
def test_nothing_is_recommended_where_hardly_a_problem_is_solved(budget: str) -> None:
    found = ask(budget, 0.018)
    assert not found.recommended
    assert not found.decided
    assert found.remarks == ("floor",)
    assert found.sentence.startswith("nothing is recommended: no λ solves more than")
    assert "easier probe" in found.sentence
    assert "λ = " not in found.sentence


def test_a_hard_probe_with_a_difference_is_no_floor() -> None:
    world = World(problems=100, seed=2, score=lambda x: 0.02 + 0.2 * x).sweep(DENSE, samples=4)
    found = recommend(world.observations(), parse_budget("tokens<=1000"))
    assert found.recommended
    assert found.lambda_ > 0.8


def test_a_few_wrong_answers_are_not_yet_a_floor() -> None:
    world = World(problems=6, seed=2, score=lambda _: 0.1).sweep((0.0, 1.0), samples=1)
    assert "floor" not in recommend(world.observations(), parse_budget("knee")).remarks


def test_the_search_stops_on_the_floor_and_says_why() -> None:
    world = World(problems=100, score=lambda _: 0.015).sweep(GRID, samples=4)
    seen = world.observations()
    step = next_batch(
        seen, preset("tokens<=120", Search(samples=4)), spent=Spent(len(seen), 1, 1.0), size=64
    )
    assert isinstance(step, Stop)
    assert step.settled
    assert "easier probe" in step.reason


@pytest.mark.parametrize("seed", range(4))
def test_an_easy_probe_gives_the_shortest_and_warns(seed: int) -> None:
    found = ask("knee", 0.99, seed)
    assert found.recommended
    assert found.remarks[0] == "ceiling"
    assert "too easy" in found.sentence
    assert found.lambda_ == pytest.approx(SHORTEST, abs=0.04)


@pytest.mark.parametrize("seed", range(4))
def test_without_a_difference_in_score_the_knee_is_the_shortest(seed: int) -> None:
    found = ask("knee", 0.6, seed)
    assert found.remarks == ("no-difference",)
    assert "no significant difference" in found.sentence
    assert found.lambda_ == pytest.approx(SHORTEST, abs=0.04)


def test_of_equal_scores_within_the_tolerance_the_shortest_is_taken() -> None:
    """The score climbs to 0.5 and then hardly any more, the tokens go on climbing."""

    def score(x: float) -> float:
        return 0.2 + 1.2 * min(x, 0.5) + 0.004 * max(x - 0.5, 0.0)

    world = World(problems=200, seed=4, score=score, tokens=lambda x: 100 + 300 * x)
    seen = world.sweep(DENSE, samples=8).observations()
    exact = recommend(seen, parse_budget("tokens<=1000"), tolerance=1e-6)
    found = recommend(seen, parse_budget("tokens<=1000"), tolerance=0.02)
    assert "shortest-alike" in found.remarks
    assert found.tokens.value < exact.tokens.value
    assert score(found.lambda_) > score(1.0) - 0.04
    assert f"λ = {exact.lambda_:.2f} may score up to 2 points more" in found.sentence


def test_scores_that_differ_are_never_given_up_for_length() -> None:
    world = World(problems=200, seed=4, tokens=lambda x: 100 + 300 * x).sweep(DENSE, samples=4)
    found = recommend(world.observations(), parse_budget("tokens<=1000"))
    assert "no-difference" not in found.remarks
    assert step_score(found.lambda_) > max(map(step_score, DENSE)) - 0.03


def test_a_limit_at_the_cap_or_above_is_said_to_exclude_nothing() -> None:
    above, below = ask(f"tokens<={CAP}", 0.6), ask("tokens<=120", 0.6)
    assert "limit-above-cap" in above.remarks
    assert "every response meets it" in above.sentence
    assert "limit-above-cap" not in below.remarks


def test_thinking_itself_is_said_to_be_the_answer() -> None:
    world = World(problems=100, seed=1, score=lambda x: 0.2 + 0.6 * x, tokens=lambda x: 100 + x)
    found = recommend(world.sweep(DENSE, samples=4).observations(), parse_budget("tokens<=1000"))
    assert found.lambda_ == 1.0
    assert "thinking-best" in found.remarks
    assert "this is Thinking itself" in found.sentence
    assert "than Thinking" not in found.sentence
