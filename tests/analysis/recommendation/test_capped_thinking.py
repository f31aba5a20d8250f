"""Mixing against Thinking with a capped thought, at equal tokens."""

from dataclasses import replace

import numpy as np
import pytest

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.capped_thinking import cap_comparisons
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import capped_thinking
from tests.analysis.synthetic import GRID, World, dipping_tokens, step_score


def studied(
    *, seed: int = 0, gain: float = 0.0, tokens: float = 120.0, cap: int = 64, problems: int = 80
) -> Observations:
    """A sweep over λ, and a capped row that scores so much more than mixing at its length."""
    world = World(problems=problems, seed=seed).sweep(GRID, samples=4)
    known = {0.6: dipping_tokens(0.6), 0.8: dipping_tokens(0.8)}
    share = (tokens - known[0.6]) / (known[0.8] - known[0.6])
    fair = (1 - share) * step_score(0.6) + share * step_score(0.8)
    world.score, world.tokens = lambda _: fair + gain, lambda _: tokens
    for problem in range(problems):
        for sample in range(4):
            world.ask(capped_thinking(cap), problem, sample)
    return world.observations()


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [(-0.2, "mixing beats the cap"), (0.15, "the cap beats mixing")],
)
def test_a_clear_difference_is_said_with_its_paired_interval(gain: float, verdict: str) -> None:
    (found,) = cap_comparisons(studied(gain=gain, problems=160))
    assert found.recipe == capped_thinking(64)
    assert found.lambdas == (0.6, 0.8)
    assert found.problems == 160
    assert found.tokens.value == pytest.approx(120, rel=0.1)
    assert found.difference.low < -gain < found.difference.high
    assert found.sentence.endswith(f"paired over 160 problems): {verdict}")
    assert "Thinking whose thought is cut at 64, mixing scores" in found.sentence


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    held = []
    for seed in range(60):
        (found,) = cap_comparisons(studied(seed=seed, problems=40))
        # The mean over difficulties is a little off the score that is asked for, alike for all.
        held.append(found.difference.low <= 0.0 <= found.difference.high)
    assert 0.87 <= np.mean(held) <= 1.0


def test_without_a_difference_none_is_said() -> None:
    (found,) = cap_comparisons(studied(seed=3, problems=40))
    assert found.difference.low < 0 < found.difference.high
    assert found.sentence.endswith("no significant difference")


def test_rows_as_short_or_as_long_as_no_mixture_are_not_compared() -> None:
    assert cap_comparisons(studied(tokens=5.0)) == ()
    world = World(problems=20).sweep()
    assert cap_comparisons(world.observations()) == ()


def test_over_these_problems_the_samples_alone_are_random() -> None:
    held = []
    for seed in range(40):
        data = studied(seed=seed, problems=30)
        (new,), (here,) = (
            cap_comparisons(data, about=about) for about in ("new-problems", "these-problems")
        )
        assert here.difference.value == pytest.approx(new.difference.value)
        held.append(here.difference.low <= 0.0 <= here.difference.high)
    assert np.mean(held) >= 0.85


def test_the_answer_says_it_of_the_row_nearest_to_it_and_keeps_all() -> None:
    one, other = studied(tokens=120, cap=64), studied(tokens=150, cap=96)
    assert one.recipes[:-1] == other.recipes[:-1]
    mine = other.where(other.recipe == len(GRID))
    both = Observations(
        (*one.recipes, other.recipes[-1]),
        one.problems,
        np.concatenate([one.recipe, mine.recipe + 1]),
        *(
            np.concatenate([getattr(one, name), getattr(mine, name)])
            for name in (
                "problem", "sample", "score", "tokens", "thinking", "truncated", "answer",
            )
        ),
    )  # fmt: skip
    found = recommend(both, parse_budget("tokens<=130"))
    assert [row.recipe.thinking_cap for row in found.against_caps] == [64, 96]
    assert found.recipe.thinking_cap is None
    nearest = min(
        found.against_caps, key=lambda row: abs(np.log(row.tokens.value / found.tokens.value))
    )
    assert nearest.sentence in found.sentence
    plain = recommend(one.where(one.recipe < len(GRID)), parse_budget("tokens<=130"))
    assert plain.against_caps == ()
    assert "against_caps" not in plain.model_dump_json()
    # The capped rows are no points of the curve: all else of the answer is as without them.
    same = replace(one, recipes=one.recipes)
    assert recommend(same, parse_budget("tokens<=130")).curve == plain.curve
