"""Budgets: the short form and its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.budget import Budget, BudgetError, Objective, parse_budget

numbers = st.integers(1, 100_000_000)
budgets = st.one_of(
    st.just(Budget()),
    st.builds(
        Budget,
        objective=st.sampled_from([Objective.WITHIN_TOKENS, Objective.WITHIN_SECONDS]),
        limit=numbers.map(float),
        statistic=st.sampled_from(["mean", "p95"]),
    ),
    st.builds(
        Budget,
        objective=st.sampled_from([Objective.FOR_SCORE, Objective.FOR_SHARE]),
        limit=st.integers(1, 100).map(lambda n: n / 100),
    ),
)


@given(budgets)
def test_the_short_form_is_read_back(budget: Budget) -> None:
    assert parse_budget(budget.spec) == budget


@pytest.mark.parametrize(
    "text",
    ["", "tokens", "tokens>=5", "score<=0.5", "score>=1.5", "tokens<=0", "tokens<=5%", "p95 knee",
     "p95 score>=0.5", "tokens<=1.2.3"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BudgetError) as error:
        parse_budget(text)
    assert "write tokens<=2000" in str(error.value)
    assert "\n" not in str(error.value)


def test_objective_and_limit_belong_together() -> None:
    with pytest.raises(ValidationError, match="needs a limit"):
        Budget(objective=Objective.WITHIN_TOKENS)
    with pytest.raises(ValidationError, match="no limit"):
        Budget(objective=Objective.KNEE, limit=3)
