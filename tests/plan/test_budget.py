"""Budgets: the short form and its limits."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.budget import (
    Budget,
    BudgetError,
    Constraint,
    parse_budget,
    parse_limits,
    require_probes,
)
from mi_tui.plan.toml import PresetError, preset_text, read_preset

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

limits = st.one_of(
    st.builds(
        Constraint,
        objective=st.sampled_from(["score-within-tokens", "score-within-seconds"]),
        limit=numbers.map(float),
        statistic=st.sampled_from(["mean", "p95"]),
        probe=st.sampled_from([None, "aime25", "word problems", "gpqa-diamond"]),
    ),
    st.builds(
        Constraint,
        objective=st.sampled_from(
            ["fewest-tokens-for-score", "fewest-tokens-for-share-of-thinking"]
        ),
        limit=st.integers(1, 100).map(lambda n: n / 100),
        probe=st.sampled_from([None, "aime25"]),
    ),
)


@given(st.lists(limits, min_size=1, max_size=4, unique_by=lambda limit: limit.subject))
def test_several_limits_are_read_back_from_text_json_and_presets(found: list[Constraint]) -> None:
    first, *others = found
    own = parse_budget(first.spec)
    budget = own.model_copy(update={"also": tuple(others)})
    assert budget.limits == tuple(found)
    assert parse_budget(budget.spec) == budget
    assert Budget.from_json(budget.canonical_json()) == budget
    knee = Budget(also=tuple(found))
    assert parse_budget(knee.spec) == knee
    assert knee.limits == tuple(found)
    assert knee.with_limits(tuple(others)).limits == tuple(others)
    assert parse_limits(knee.spec.partition(" and ")[2]) == tuple(found)


def test_several_limits_in_words_and_in_a_preset(tmp_path: Path) -> None:
    budget = parse_budget("tokens<=2000 AND  score>=95% and score[arithmetic]>=0.6")
    assert budget.in_words == (
        "highest score within 2000 tokens on average, with at least 95 % of Thinking's score and"
        " a score of at least 60.0 % on arithmetic"
    )
    assert parse_budget("tokens[aime25]<=9").in_words == (
        "highest score within 9 tokens on average on aime25"
    )
    demo = read_preset(Path("presets/demo.toml"))
    preset = demo.model_copy(update={"budget": budget})
    path = tmp_path / "limits.toml"
    path.write_text(preset_text(preset))
    assert 'also = ["score>=95%", "score[arithmetic]>=0.6"]' in path.read_text()
    assert read_preset(path) == preset
    path.write_text(path.read_text().replace("[arithmetic]", "[arithmetc]"))
    with pytest.raises(PresetError, match="no probe arithmetc: did you mean arithmetic"):
        read_preset(path)
    path.write_text(path.read_text().replace("score>=95%", "score>95"))
    with pytest.raises(PresetError, match=r"'score>95' is no limit: did you mean score>=95% or"):
        read_preset(path)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tokens<2000", "tokens<=2000"),
        ("token<=2000", "tokens<=2000"),
        ("tokens<=2,000", "tokens<=2000"),
        ("tokens=<2000", "tokens<=2000"),
        ("p95 second ≤ 3", "p95 seconds<=3"),
        ("tokens<=2000, score>=95%", "tokens<=2000 and score>=95%"),
        ("score>=95% & tokens<=2,000", "score>=95% and tokens<=2000"),
        ("tokens<=2000; knee", "knee and tokens<=2000"),
        ("tokens<=9 and scor[aime25]>=0.6", "score[aime25]>=0.6"),
        ("score[aime25]>=95", r"score[aime25]>=95% or score[aime25]>=0.95"),
        ("tokens<=2000 and knee", "knee at the beginning"),
    ],
)
def test_a_slip_is_asked_about(text: str, meant: str) -> None:
    with pytest.raises(BudgetError) as error:
        parse_budget(text)
    assert f"did you mean {meant}? Otherwise write tokens<=2000" in str(error.value)
    assert "\n" not in str(error.value)


def test_limits_that_say_the_same_twice_and_unknown_probes_are_refused() -> None:
    with pytest.raises(BudgetError, match="tokens<=5 and tokens<=6 limit the same: keep the tight"):
        parse_budget("tokens<=5 and tokens<=6")
    assert len(parse_budget("tokens<=5 and p95 tokens<=6 and tokens[a]<=4").limits) == 3
    budget = parse_budget("knee and score[aime52]>=0.5")
    require_probes(budget, ["aime52"])
    with pytest.raises(
        BudgetError, match=r"no probe aime52: did you mean aime25\? The study asks aime25"
    ):
        require_probes(budget, ["aime25", "ifeval"])
    with pytest.raises(ValidationError, match="no limit that could be on a probe"):
        Budget(probe="aime25")
    with pytest.raises(BudgetError, match="'knee' is no limit: did you mean knee at the beginning"):
        parse_limits("knee")


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
