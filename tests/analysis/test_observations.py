"""Responses that could not be scored are missing: no statistic counts them, and none as wrong."""

from dataclasses import replace

import numpy as np
import pytest

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.search.policy import Batch, Spent, next_batch
from mi_tui.analysis.statistics.curve import CurveError
from mi_tui.analysis.statistics.metrics import paired_difference, summarise
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.search import Search
from mi_tui.present.columns import csv_fields, result_lines, spoken
from tests.analysis.synthetic import GRID, World, preset

FULL = World(problems=30, seed=3).sweep(GRID, samples=2).observations()
BUDGET = parse_budget("tokens<=120")


def without(share: float) -> tuple[Observations, np.ndarray]:
    """The observations with a share of the scores missing, and which."""
    missing = np.random.default_rng(1).permutation(len(FULL)) < share * len(FULL)
    return replace(FULL, score=np.where(missing, np.nan, FULL.score)), missing


def test_every_statistic_is_that_of_the_scored_rows() -> None:
    holed, missing = without(0.2)
    left = FULL.where(~missing)
    found, wanted = summarise(holed), summarise(left)
    assert sum(row.not_scored for row in found) == missing.sum()
    assert [row.rollouts for row in found] == [row.rollouts for row in summarise(FULL)]
    bare = {"rollouts": 0, "not_scored": 0}
    assert [r.model_copy(update=bare) for r in found] == [r.model_copy(update=bare) for r in wanted]
    assert paired_difference(holed, 0, 6) == paired_difference(left, 0, 6)


def test_the_count_stands_beside_the_score_and_in_the_files() -> None:
    line = result_lines(summarise(without(0.2)[0]))[0]
    fields = {field.name: field.value(line) for field in csv_fields()}
    assert fields["not_scored"] == line.row.not_scored > 0
    assert f", {line.row.not_scored} not scored" in spoken(line)
    assert "not scored" not in spoken(result_lines(summarise(FULL))[0])


def test_few_missing_scores_are_a_warning() -> None:
    answer = recommend(without(0.03)[0], BUDGET)
    assert answer.recommended
    assert answer.remarks[0] == "some-not-scored"
    assert "3.1 % of the responses could not be scored" in answer.sentence
    assert "some-not-scored" not in recommend(without(0.005)[0], BUDGET).remarks


def test_nothing_is_recommended_where_many_scores_are_missing() -> None:
    answer = recommend(without(0.06)[0], BUDGET)
    assert not answer.recommended
    assert "could not be scored" in answer.sentence


def test_without_any_score_nothing_is_said() -> None:
    nothing = replace(FULL, score=np.full(len(FULL), np.nan))
    assert summarise(nothing) == ()
    with pytest.raises(CurveError, match="420 of 420 responses could not be scored"):
        recommend(nothing, BUDGET)


def test_what_could_not_be_scored_is_not_asked_again() -> None:
    holed, _ = without(0.2)
    search = Search(grid=GRID, samples=2, refine=False)
    step = next_batch(holed, preset(BUDGET, search), spent=Spent(len(holed), 0, 0.0), size=64)
    asked = set(zip(holed.recipe, holed.problem, holed.sample, strict=True))
    fresh = step.rollouts if isinstance(step, Batch) else ()
    again = [r for r in fresh if (holed.recipes.index(r.recipe), r.problem, r.sample) in asked]
    assert again == []


@pytest.mark.parametrize("about", ["new-problems", "these-problems"])
def test_the_order_in_which_rollouts_arrive_changes_no_digit(about: str) -> None:
    random = np.random.default_rng(5)
    graded = replace(FULL, score=FULL.score * random.uniform(0.3, 1.0, len(FULL)))
    budget = BUDGET.model_copy(update={"about": about})
    plan = preset(budget, Search(grid=GRID))
    spent = Spent(len(graded), int(graded.tokens.sum()), 10.0)
    answer, rows = recommend(graded, budget), summarise(graded)
    batch = next_batch(graded, plan, spent=spent, size=64)
    for _ in range(4):
        other = graded.where(random.permutation(len(graded)))
        assert recommend(other, budget) == answer
        assert summarise(other) == rows
        assert next_batch(other, plan, spent=spent, size=64) == batch
