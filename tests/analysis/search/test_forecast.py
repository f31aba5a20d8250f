"""The forecast of a study: its size is what is asked, its resolution what simulations show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.analysis.search.forecast import forecast, problem_count, resolution
from mi_tui.analysis.search.policy import Batch, Spent, next_batch
from mi_tui.analysis.statistics.metrics import paired_difference
from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.search import Search
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.aime25 import AimeProbe
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.probes.kinds.user_file import FileProbe
from mi_tui.probes.kinds.word_problems import WordProblemsProbe
from tests.analysis import synthetic
from tests.analysis.search import test_layer_groups as layer_groups


def preset(*probes: AnyProbe, **search: object) -> Preset:
    return synthetic.preset(search=Search.model_validate(search)).model_copy(
        update={"probes": probes}
    )


ARITHMETIC = ArithmeticProbe(kind="arithmetic", problems=64, max_new_tokens=100)
WORDS = WordProblemsProbe(kind="word-problems", problems=40, held_out=0.0, max_new_tokens=50)


@pytest.mark.parametrize("plan", [ARITHMETIC, WORDS, ArithmeticProbe(kind="arithmetic")])
def test_sizes_and_held_out_problems_are_those_of_the_probe(plan: AnyProbe) -> None:
    probe = freeze(plan)
    size = problem_count(plan)
    assert size == len(probe.problems)
    told = forecast(preset(plan), [size])
    assert told.held_out == sum(p.split == "held-out" for p in probe.problems)


def test_files_are_counted_by_nobody_before_they_are_read() -> None:
    assert problem_count(FileProbe(kind="file", path="x.jsonl")) is None
    assert problem_count(AimeProbe(kind="aime25", path="mine.jsonl")) is None
    assert problem_count(AimeProbe(kind="aime25")) == 30
    assert problem_count(AimeProbe(kind="aime25", problems=12)) == 12
    assert problem_count(AimeProbe(kind="aime25", problems=50)) == 30


def test_the_rollouts_are_those_the_search_asks() -> None:
    world = synthetic.World(problems=40, held_out=10)
    study = synthetic.preset(
        search=Search(samples=3, refine=False),
        recipes=(Recipe(method="task-arithmetic", scale=0.7),),
    )
    asked = 0
    while isinstance(
        batch := next_batch(world.observations(), study, spent=Spent(), size=500), Batch
    ):
        if batch.phase.startswith("confirming"):
            break
        asked += len(batch.rollouts)
        world.answer(batch.rollouts)
    told = forecast(study.model_copy(update={"probes": (ARITHMETIC,)}), [40])
    assert told.held_out == 10
    assert told.recipes == 8
    assert told.rollouts == asked == 8 * 3 * 30
    assert told.most_tokens == 100 * told.rollouts


def test_limits_hold_and_widen_what_can_be_told() -> None:
    free = forecast(preset(ARITHMETIC), [64])
    held = forecast(preset(ARITHMETIC, max_rollouts=200, max_tokens=1000), [64])
    assert held.rollouts <= 200
    assert held.most_tokens == 1000
    assert free.share == 1
    assert held.share == pytest.approx(held.rollouts / free.rollouts)
    assert held.score > free.score
    assert held.length > free.length


def test_layer_groups_are_counted_at_their_most() -> None:
    world = layer_groups.GroupWorld(problems=40, held_out=10, score_of=layer_groups.uneven_score)
    wanted = layer_groups.plan()
    batches, _ = layer_groups.run(world, wanted)
    asked = sum(len(batch.rollouts) for batch in batches if "layer group" in batch.phase)
    told = forecast(wanted.model_copy(update={"probes": (ARITHMETIC,)}), [40])
    plain = wanted.search.model_copy(update={"layer_groups": ()})
    without = forecast(wanted.model_copy(update={"probes": (ARITHMETIC,), "search": plain}), [40])
    assert asked <= told.group_rollouts <= 1.1 * asked
    assert told.rollouts - without.rollouts == told.group_rollouts
    assert told.most_tokens - without.most_tokens == 100 * told.group_rollouts
    held = wanted.search.model_copy(update={"max_rollouts": without.rollouts})
    limited = forecast(wanted.model_copy(update={"probes": (ARITHMETIC,), "search": held}), [40])
    assert limited.rollouts <= without.rollouts


def test_of_two_probes_the_heavier_one_decides() -> None:
    sizes = [64, 40]
    even = forecast(preset(ARITHMETIC, WORDS), sizes)
    heavy = forecast(
        preset(ARITHMETIC, WORDS.model_copy(update={"weight": 50.0})),
        sizes,
    )
    alone = forecast(preset(WORDS), [40])
    assert even.score < heavy.score
    assert heavy.score == pytest.approx(alone.score, rel=0.05)


def test_a_limit_on_one_probe_is_told_no_finer_than_that_probe_can() -> None:
    both = preset(ARITHMETIC, WORDS)
    told = forecast(both, [64, 40])
    limited = both.model_copy(update={"budget": parse_budget("knee and score[word-problems]>=0.5")})
    own = forecast(preset(WORDS), [40])
    assert forecast(limited, [64, 40]).score == pytest.approx(max(told.score, own.score))
    assert own.score > told.score


def test_a_probe_may_have_samples_of_its_own() -> None:
    own = ARITHMETIC.model_copy(update={"samples": 16})
    told, usual = forecast(preset(own), [64]), forecast(preset(ARITHMETIC), [64])
    assert told.rollouts == 4 * usual.rollouts
    assert told.most_tokens == 4 * usual.most_tokens
    assert told.score < usual.score
    assert told.score == resolution(48, 16)[0]


@given(st.integers(2, 600), st.integers(1, 64))
def test_more_problems_tell_more_and_so_do_more_samples(problems: int, samples: int) -> None:
    score, length = resolution(problems, samples)
    more_problems, more_samples = (
        resolution(2 * problems, samples),
        resolution(problems, 2 * samples),
    )
    assert 0 < more_problems[0] < score or score == 1.0
    assert more_problems[1] < length
    assert more_samples[0] <= score
    assert more_samples[1] <= length


@pytest.mark.parametrize(("problems", "samples"), [(24, 1), (48, 4), (100, 2), (200, 16)])
def test_the_resolution_is_how_far_simulated_differences_scatter(
    problems: int, samples: int
) -> None:
    """Difficulties correlated between two λ, answers drawn: 95 % of the differences lie within."""
    random = np.random.default_rng(7)
    trials, share, kept = 3000, 0.3, 0.8
    sd = np.sqrt(0.25 * share)
    common = random.normal(size=(trials, problems)) * np.sqrt(kept)
    scores, lengths = [], []
    # Half of what the ratio of two lengths varies comes from either λ.
    for _ in range(2):
        own = random.normal(size=(trials, problems)) * np.sqrt(1 - kept)
        chance = np.clip(0.5 + sd * (common + own), 0.0, 1.0)
        scores.append((random.binomial(samples, chance) / samples).mean(axis=1))
        of_problem = 0.3 / np.sqrt(2) * random.normal(size=(trials, problems, 1))
        within = 0.6 * random.normal(size=(trials, problems, samples))
        lengths.append(np.exp(of_problem + within).mean(axis=(1, 2)))
    score, length = resolution(problems, samples)
    found = np.quantile(np.abs(scores[0] - scores[1]), 0.95)
    assert score == pytest.approx(found, rel=0.15)
    ratio = np.quantile(np.abs(np.log(lengths[0] / lengths[1])), 0.95)
    assert np.log1p(length) == pytest.approx(ratio, rel=0.15)


def test_the_resolution_is_near_what_studies_state_in_the_end() -> None:
    """Against the intervals of swept worlds, whose difficulties and lengths are not ours."""
    halves, ratios = [], []
    for seed in range(12):
        world = synthetic.World(problems=80, seed=seed).sweep((0.45, 0.55), samples=4)
        found = paired_difference(world.observations(), 0, 1)
        halves.append((found.score.high - found.score.low) / 2)
        ratios.append(found.tokens_ratio.high / found.tokens_ratio.value - 1)
    score, length = resolution(80, 4)
    assert score == pytest.approx(float(np.mean(halves)), rel=0.25)
    assert 1.0 < length / float(np.mean(ratios)) < 2.5, "lengths in these worlds scatter less"


@pytest.mark.parametrize(("problems", "samples"), [(24, 4), (200, 16)])
def test_about_these_problems_the_samples_alone_scatter(problems: int, samples: int) -> None:
    """The same draws around fixed difficulties: what 95 % of the differences lie within."""
    random = np.random.default_rng(7)
    common = np.clip(0.5 + 0.27 * random.normal(size=(2, problems)), 0.0, 1.0)
    drawn = random.binomial(samples, common[:, None], (2, 3000, problems)).mean(axis=2) / samples
    change = drawn[0] - drawn[1] - (common[0] - common[1]).mean()
    plan = ARITHMETIC.model_copy(update={"problems": problems, "held_out": 0.0})
    told = preset(plan).model_copy(
        update={
            "budget": Budget(about="these-problems"),
            "search": Search(samples=samples),
        }
    )
    here = forecast(told, [problems])
    found = np.quantile(np.abs(change), 0.95)
    assert here.score == pytest.approx(found, rel=0.15)
    of_new = forecast(told.model_copy(update={"budget": Budget()}), [problems])
    assert here.score < of_new.score
    assert here.length < of_new.length
