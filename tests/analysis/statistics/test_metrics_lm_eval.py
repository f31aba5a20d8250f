"""Mean@k, Pass@k and Vote@k against lm-eval's own filters and metrics, on random responses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.results import RecipeSummary
from mi_tui.analysis.statistics.metrics import pass_at_k, summarise, vote
from mi_tui.plan.recipe import interpolation

pytest.importorskip("lm_eval")

RIGHT = "7"
"""Every problem's answer; responses answer one of ``0`` to ``9``."""

Responses = list[list[str]]


@st.composite
def responses(draw: st.DrawFn) -> Responses:
    """The answers to some problems, equally many for each, at least two."""
    k = draw(st.integers(2, 9))
    answers = st.lists(st.sampled_from(("7", "7", "8", "9")), min_size=k, max_size=k)
    return draw(st.lists(answers, min_size=2, max_size=8))


def filtered(answers: Responses, *steps: tuple[str, dict[str, Any]]) -> list[Any]:
    """What an lm-eval filter pipeline of a task's YAML makes of the responses."""
    from lm_eval.api.instance import Instance
    from lm_eval.filters import build_filter_ensemble

    instances = [
        Instance("generate_until", {}, ("", {}), 0, resps=list(given_answers))
        for given_answers in answers
    ]
    build_filter_ensemble("theirs", list(steps)).apply(instances)
    return [instance.filtered_resps["theirs"] for instance in instances]


def exact_match(answers: Sequence[str]) -> float:
    """lm-eval's ``exact_match`` of several responses to one reference."""
    from lm_eval.api.metrics import exact_match_fn

    found = exact_match_fn(predictions=list(answers), references=[RIGHT] * len(answers))
    return float(found["exact_match"])


def summary(answers: Responses) -> RecipeSummary:
    problems, k = len(answers), len(answers[0])
    flat = np.array([answer for row in answers for answer in row])
    rows = len(flat)
    none = np.zeros(rows, dtype=bool)
    observed = Observations(
        recipes=(interpolation(0.5),),
        problems=tuple(
            ProblemRow("probe", str(i), "", 1 / problems, 50, False) for i in range(problems)
        ),
        recipe=np.zeros(rows, dtype=np.int64),
        problem=np.repeat(np.arange(problems), k),
        sample=np.tile(np.arange(k), problems),
        score=(flat == RIGHT).astype(np.float64),
        tokens=np.full(rows, 10),
        thinking=none,
        truncated=none,
        answer=flat.astype(np.int64),
    )
    return summarise(observed)[0]


@settings(deadline=None)
@given(responses())
def test_mean_at_k_is_lm_evals_mean_of_exact_match_over_the_first_k(answers: Responses) -> None:
    from lm_eval.api.metrics import mean

    k = len(answers[0])
    kept = filtered(answers, ("take_first_k", {"k": k}))
    theirs = mean([exact_match(row) for row in kept])
    assert summary(answers).score.value == pytest.approx(theirs)


@settings(deadline=None)
@given(responses(), st.data())
def test_pass_at_k_is_lm_evals_for_every_k(answers: Responses, data: st.DataObject) -> None:
    from lm_eval.tasks.cruxeval.utils import _pass_at_k as theirs

    n = len(answers[0])
    k = data.draw(st.integers(1, n))
    correct = np.array([float(row.count(RIGHT)) for row in answers])
    ours = pass_at_k(np.full(len(answers), float(n)), correct, k)
    assert ours == pytest.approx([theirs(n, int(c), k) for c in correct])


@settings(deadline=None)
@given(responses())
def test_vote_at_k_is_lm_evals_majority_vote_where_nothing_ties(answers: Responses) -> None:
    # lm-eval gives a tie to the answer that came first; ours is the mean over its winners.
    k = len(answers[0])
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("take_first_k", {"k": k}),
        ("majority_vote", {}),
        ("take_first", {}),
    )
    theirs = [exact_match([winner]) for winner in filtered(answers, *steps)]
    flat = np.array([int(answer) for row in answers for answer in row])
    ours = vote(np.repeat(np.arange(len(answers)), k), flat, flat == int(RIGHT), len(answers))
    clear = ~ours.tied
    assert ours.value[clear] == pytest.approx(np.array(theirs)[clear])
    assert ((ours.value[~clear] >= 0) & (ours.value[~clear] < 1)).all()
    if clear.all():
        found = summary(answers)
        assert found.vote_at_k is not None
        assert found.vote_at_k.value == pytest.approx(np.mean(theirs))


@settings(deadline=None)
@given(responses())
def test_a_tie_is_what_lm_eval_gives_on_average_over_the_orders(answers: Responses) -> None:
    random = np.random.default_rng(0)
    row = answers[0]
    orders = [list(random.permutation(row)) for _ in range(400)]
    steps: tuple[tuple[str, dict[str, Any]], ...] = (("majority_vote", {}), ("take_first", {}))
    theirs = np.mean([winner == RIGHT for winner in filtered(orders, *steps)])
    flat = np.array([int(answer) for answer in row])
    ours = vote(np.zeros(len(row), dtype=np.int64), flat, flat == int(RIGHT), 1)
    assert ours.value[0] == pytest.approx(theirs, abs=0.15)
