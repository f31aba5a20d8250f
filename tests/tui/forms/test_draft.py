"""Drafts: every preset survives the form, every bad field is named."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.plan.budget import Budget
from mi_tui.plan.engine import EnginePlan, ServerSpeed
from mi_tui.plan.numbers import whole
from mi_tui.plan.objective import OBJECTIVES
from mi_tui.plan.recipe import Decoding, Recipe, interpolation
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from mi_tui.plan.search import Search
from mi_tui.probes.freeze import freeze
from mi_tui.tui.forms.draft import draft_of, new_draft
from mi_tui.tui.forms.draft_reader import check, pair_title
from mi_tui.tui.forms.number_fields import lambdas, parse_grid
from tests.tui import views

budgets = st.one_of(
    st.just(Budget()),
    st.builds(
        Budget,
        objective=st.sampled_from(["score-within-tokens", "score-within-seconds"]),
        limit=st.integers(1, 100_000).map(float),
        statistic=st.sampled_from(["mean", "p95"]),
        confidence=st.sampled_from([0.8, 0.9, 0.95]),
    ),
    st.builds(
        Budget,
        objective=st.sampled_from(
            ["fewest-tokens-for-score", "fewest-tokens-for-share-of-thinking"]
        ),
        limit=st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]),
    ),
)
scopes = st.builds(
    Scope,
    layers=st.sampled_from(["all", "12-35", "0-11,24-35"]).map(parse_layers),
    modules=st.sets(st.sampled_from(list(ModuleKind)), min_size=1).map(tuple),
    outside=st.sampled_from(["instruct", "thinking"]),
)
searches = st.builds(
    Search,
    grid=st.sets(st.integers(0, 100).map(lambda n: n / 100), min_size=2).map(tuple),
    samples=st.integers(1, 64),
    refine=st.booleans(),
    tolerance=st.sampled_from([0.005, 0.02]),
    max_rollouts=st.none() | st.integers(1, 10**6),
    max_tokens=st.none() | st.integers(1, 10**12),
    max_minutes=st.none() | st.sampled_from([0.5, 30.0]),
    seed=st.integers(0, 9),
)
decodings = st.builds(
    Decoding,
    temperature=st.sampled_from([0.0, 0.6, 0.65]),
    top_p=st.sampled_from([0.8, 1.0]),
    top_k=st.integers(0, 50),
)
servers = st.none() | st.builds(
    ServerSpeed,
    time_to_first_token=st.sampled_from([0.0, 0.25, 3.0]),
    time_per_output_token=st.sampled_from([0.0005, 0.02, 1.0]),
)


@settings(max_examples=40)
@given(budget=budgets, scope=scopes, search=searches, decoding=decodings, server=servers)
def test_a_preset_comes_back_from_the_form_as_it_went_in(
    budget: Budget,
    scope: Scope,
    search: Search,
    decoding: Decoding,
    server: ServerSpeed | None,
) -> None:
    preset = views.preset().model_copy(
        update={
            "budget": budget,
            "scope": scope,
            "search": search,
            "decoding": decoding,
            "server": server,
            "recipes": (
                Recipe(lambda_=0.8, scope=Scope(layers=parse_layers("0-3")), decoding=decoding),
            ),
        }
    )
    checked = check(draft_of(preset))
    assert checked.problems == {}
    assert checked.preset == preset


def test_a_new_study_lacks_only_its_pair() -> None:
    assert set(check(new_draft()).problems) == {"instruct", "thinking"}


def test_a_new_study_of_a_pair_can_run_as_it_is_and_is_named_after_it() -> None:
    pair = {"instruct": "Qwen/Qwen3-4B-Instruct-2507", "thinking": "Qwen/Qwen3-4B-Thinking-2507"}
    preset = check(replace(new_draft(), **pair)).preset  # type: ignore[arg-type]
    assert preset is not None
    assert preset.title == "Qwen3-4B"
    assert [probe.kind for probe in preset.probes] == ["word-problems"]
    assert preset.probes[0].max_new_tokens >= 4096, "a response that thinks must not be cut"


@pytest.mark.parametrize(
    ("instruct", "thinking", "title"),
    [
        ("bundled:instruct", "bundled:thinking", "bundled"),
        ("/models/a-x/", "/models/b-x", "New study"),
        ("o/Qwen3-30B-A3B-Instruct", "o/Qwen3-30B-A3B-Thinking@main", "Qwen3-30B-A3B"),
        ("", "", "New study"),
    ],
)
def test_a_pair_names_its_study(instruct: str, thinking: str, title: str) -> None:
    assert pair_title(instruct, thinking) == title


def test_baselines_ask_for_a_base() -> None:
    baseline = Recipe(method="ties", scale=0.5, density=0.2)
    draft = replace(draft_of(views.preset()), recipes=(baseline,))
    assert set(check(draft).problems) == {"recipes"}
    preset = check(replace(draft, base="bundled:base")).preset
    assert preset is not None
    assert preset.recipes == (baseline,)


def test_further_rows_are_decoded_as_the_search_but_for_those_that_say_otherwise() -> None:
    ablation = interpolation(0.4).model_copy(update={"decoding": Decoding(temperature=0.7)})
    preset = views.preset().model_copy(update={"recipes": (ablation, interpolation(0.3))})
    draft = draft_of(preset)
    baseline = Recipe(method="task-arithmetic", scale=0.7, base="b")
    changed = replace(draft, recipes=(*draft.recipes, baseline), temperature="0.2")
    read = check(changed).preset
    assert read is not None
    assert [row.decoding.temperature for row in read.recipes] == [0.7, 0.2, 0.2]


def test_what_a_new_study_asks_needs_no_download() -> None:
    for row in new_draft().probes:
        assert len(freeze(row.plan).problems) == 64


def test_what_no_field_shows_is_kept() -> None:
    preset = views.preset().model_copy(update={"engine": EnginePlan(batch=3, device="cpu")})
    assert check(draft_of(preset)).preset == preset


def test_two_probes_of_one_name_are_told_before_anything_else() -> None:
    draft = draft_of(views.preset())
    assert set(check(replace(draft, probes=draft.probes * 2)).problems) == {"probes"}


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("limit", "", "a number"),
        ("limit", "-3", "more than 0"),
        ("limit", "nan", "a number"),
        ("limit", "inf", "a number"),
        ("confidence", "100", "between 50 and 100"),
        ("grid", "0, 2", "between 0"),
        ("grid", "0.5", "at least two"),
        ("grid", "a", "values of λ"),
        ("layers", "12-", "no layer range"),
        ("temperature", "hot", "a number up to 5"),
        ("top_p", "0", "more than 0"),
        ("top_k", "1.5", "a whole number"),
        ("samples", "0", "a whole number from 1"),
        ("max_minutes", "soon", "a number"),
        ("max_tokens", "-1", "a whole number from 1"),
        ("thinking", "  ", "hub id"),
        ("first_token", "-1", "a number"),
        ("per_token", "0", "more than 0"),
    ],
)
def test_a_bad_field_is_named_with_what_is_allowed(field: str, text: str, said: str) -> None:
    asked = replace(draft_of(views.preset()), speed="given")
    draft = replace(asked, **{field: text})  # type: ignore[arg-type]
    checked = check(draft)
    assert checked.preset is None
    assert set(checked.problems) == {field}
    assert said in checked.problems[field]


def test_a_probe_row_that_is_switched_off_is_not_read() -> None:
    draft = draft_of(views.preset())
    off = draft.with_probe(0, asked=False, cap="nonsense")
    assert set(check(off).problems) == {"probes"}
    bad = draft.with_probe(0, cap="nonsense", problems="1")
    assert set(check(bad).problems) == {"cap-0", "problems-0"}


def test_no_module_at_all_is_refused() -> None:
    draft = replace(draft_of(views.preset()), modules=())
    assert set(check(draft).problems) == {"modules"}


def test_an_objective_brings_a_limit_that_is_valid() -> None:
    draft = draft_of(views.preset())
    for objective in OBJECTIVES.names():
        assert check(draft.with_objective(objective)).preset is not None


def test_a_grid_may_be_written_as_a_span() -> None:
    assert parse_grid("0-1 by 0.25") == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert parse_grid("0.2 0.1,0.2") == (0.1, 0.2)
    for slip in ("0-1 by 0", "0-1e999 by 0.1", "0-1e12 by 0.01", "1-0 by 0.1", "0-1 by nan"):
        with pytest.raises(ValueError, match="values of λ"):
            parse_grid(slip)


def test_lambdas_and_samples_are_read_or_refused_in_words() -> None:
    assert lambdas("0.55, 0.65 1") == (0.55, 0.65, 1.0)
    assert whole("1000", least=1, most=1000) == 1000
    for slip in ("", "1.1", "nan", "a"):
        with pytest.raises(ValueError, match="values from 0 to 1"):
            lambdas(slip)
    for slip in ("", "0", "1001", "9" * 5000, "1.5"):
        with pytest.raises(ValueError, match="a whole number from 1 to 1000"):
            whole(slip, least=1, most=1000)
