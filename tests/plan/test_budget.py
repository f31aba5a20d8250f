"""Budgets: the short form and its limits."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.budget import Budget, BudgetError, parse_budget
from mi_tui.plan.toml import preset_text, read_preset

numbers = st.integers(1, 100_000_000)
budgets = st.one_of(
    st.just(Budget()),
    st.builds(
        Budget,
        objective=st.sampled_from(["score-within-tokens", "score-within-seconds"]),
        limit=numbers.map(float),
        statistic=st.sampled_from(["mean", "p95"]),
    ),
    st.builds(
        Budget,
        objective=st.sampled_from(
            ["fewest-tokens-for-score", "fewest-tokens-for-share-of-thinking"]
        ),
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


@pytest.mark.parametrize(
    ("text", "json", "key"),
    [
        ("knee", '{"confidence":0.9,"limit":null,"objective":"knee","statistic":"mean"}',
         "13b2c47760937006"),
        ("tokens<=110", '{"confidence":0.9,"limit":110.0,"objective":"score-within-tokens",'
         '"statistic":"mean"}', "51cfcbd6047c3cfa"),
        ("p95 seconds<=0.4", '{"confidence":0.9,"limit":0.4,"objective":"score-within-seconds",'
         '"statistic":"p95"}', "b3f3dc170acfc814"),
        ("score>=0.6", '{"confidence":0.9,"limit":0.6,"objective":"fewest-tokens-for-score",'
         '"statistic":"mean"}', "c020bbee3ad6332e"),
        ("score>=95%", '{"confidence":0.9,"limit":0.95,'
         '"objective":"fewest-tokens-for-share-of-thinking","statistic":"mean"}',
         "015274190e5058b0"),
    ],
)  # fmt: skip
def test_what_studies_store_of_a_budget_stays_as_it_is(text: str, json: str, key: str) -> None:
    budget = parse_budget(text)
    assert budget.canonical_json() == json
    assert budget.key == key
    assert Budget.from_json(json) == budget


def test_a_budget_in_a_preset_stays_as_it_is() -> None:
    preset = read_preset(Path("presets/demo.toml"))
    preset = preset.model_copy(update={"budget": parse_budget("p95 seconds<=0.4", 0.8)})
    assert (
        '[budget]\nobjective = "score-within-seconds"\nlimit = 0.4\nstatistic = "p95"\n'
        "confidence = 0.8\n" in preset_text(preset)
    )


def test_what_an_answer_is_about_is_said_and_stored_only_where_it_is_not_the_usual() -> None:
    usual, here = parse_budget("knee"), parse_budget("knee", about="these-problems")
    assert "about" not in usual.canonical_json()
    assert '"about":"these-problems"' in here.canonical_json()
    assert here.key != usual.key
    assert Budget.from_json(here.canonical_json()) == here
    assert here.in_words.endswith(", over these problems themselves")
    with pytest.raises(ValidationError, match="'new-problems' or 'these-problems'"):
        Budget.model_validate({"about": "all-problems"})


def test_a_share_without_its_sign_is_asked_about() -> None:
    with pytest.raises(BudgetError, match=r"did you mean score>=95% or score>=0\.95\?"):
        parse_budget("score>=95")
    with pytest.raises(BudgetError) as error:
        parse_budget("score>=950")
    assert "did you mean" not in str(error.value)


def test_an_unknown_objective_names_those_there_are() -> None:
    with pytest.raises(ValidationError, match="unknown objective 'kneee': use one of knee, score-"):
        Budget(objective="kneee")


def test_a_list_of_objectives_loads_nothing_heavy() -> None:
    code = (
        "from mi_tui.plan.objective import OBJECTIVES, examples\n"
        "import sys\nassert len(examples()) >= 5\n"
        "print(*[m for m in ('numpy', 'pydantic', 'rich', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_objective_and_limit_belong_together() -> None:
    with pytest.raises(ValidationError, match="needs a limit"):
        Budget(objective="score-within-tokens")
    with pytest.raises(ValidationError, match="no limit"):
        Budget(objective="knee", limit=3)
