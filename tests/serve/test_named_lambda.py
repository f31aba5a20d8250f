"""Which λ a request names, what vLLM gets, and which prompts may share a cache."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA, RECIPE
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind
from mi_tui.serve.named_lambda import (
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    Api,
    RefusedError,
    read_lambda,
    salted,
    shown,
    with_lambda,
    without_lambda,
)
from tests.serve.dials import DIAL, FIXED, KNOBS

lambdas = st.floats(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def asked(body: dict[str, Any], api: Api = CHAT) -> tuple[float, dict[str, Any]]:
    recipe, sent = with_lambda({"model": "pair", "messages": [], **body}, DIAL, api)
    assert recipe.lambda_ is not None
    return recipe.lambda_, sent


def lambda_in(body: dict[str, Any]) -> float | None:
    """λ of the recipe that the worker is told."""
    return Recipe.model_validate_json(body["vllm_xargs"][RECIPE]).lambda_


@pytest.mark.parametrize(
    ("body", "api", "lambda_"),
    [
        ({}, CHAT, 0.5),
        ({"model": "pair@0.55"}, CHAT, 0.55),
        ({"model": "pair@0"}, COMPLETIONS, 0.0),
        ({"model": "pair@1."}, COMPLETIONS, 1.0),
        ({"model": "pair@.25"}, RESPONSES, 0.25),
        ({"model": "pair@low"}, COMPLETIONS, 0.25),
        ({"model": None}, CHAT, 0.5),
        ({"reasoning_effort": "high"}, CHAT, 1.0),
        ({"reasoning_effort": None}, CHAT, 0.5),
        ({"reasoning": {"effort": "low"}}, RESPONSES, 0.25),
        ({"reasoning": {"summary": "auto"}}, RESPONSES, 0.5),
        ({"output_config": {"effort": "high"}}, MESSAGES, 1.0),
        ({"thinking": {"type": "disabled"}}, MESSAGES, 0.0),
        ({"vllm_xargs": {LAMBDA: 1}}, CHAT, 1.0),
        ({"vllm_xargs": {LAMBDA: 0.123456789}}, CHAT, 0.123457),
        ({"model": "pair@0.3", "vllm_xargs": {LAMBDA: 0.3}}, CHAT, 0.3),
        ({"model": "pair@0.3", "reasoning_effort": "high"}, CHAT, 0.3),
        ({"model": "pair@low", "reasoning_effort": "xhigh"}, CHAT, 0.25),
        ({"vllm_xargs": {LAMBDA: 0.7}, "reasoning_effort": "none"}, CHAT, 0.7),
    ],
)
def test_the_most_explicit_name_counts(body: dict[str, Any], api: Api, lambda_: float) -> None:
    found, sent = asked(body, api)
    assert found == lambda_
    assert lambda_in(sent) == lambda_
    assert sent["model"] in ("pair", None)
    assert sent["cache_salt"] == salted(None, lambda_)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"model": "pair@1.5"}, "from 0 to 1 or an effort"),
        ({"model": "pair@"}, "from 0 to 1 or an effort"),
        ({"model": "pair@nan"}, "no effort 'nan'"),
        ({"model": "pair@-1"}, "from 0 to 1"),
        ({"model": "pair@1e-1"}, "from 0 to 1"),
        ({"model": "pair@0.5@0.5"}, "from 0 to 1"),
        ({"model": "pair@٠.٥"}, "from 0 to 1"),
        ({"model": "pair@0.5\n"}, "from 0 to 1"),
        ({"model": "pair@swift"}, "efforts here are none, minimal, low, high"),
        ({"model": "pair" * 100}, "no model has a name so long"),
        ({"reasoning_effort": "xhigh"}, "no effort 'xhigh'"),
        ({"reasoning_effort": ["low"]}, "must be a text"),
        ({"vllm_xargs": {LAMBDA: float("nan")}}, "must be a number from 0 to 1"),
        ({"vllm_xargs": {LAMBDA: float("inf")}}, "must be a number"),
        ({"vllm_xargs": {LAMBDA: "0.5"}}, "must be a number"),
        ({"vllm_xargs": {LAMBDA: [0.5]}}, "must be a number"),
        ({"vllm_xargs": {LAMBDA: True}}, "must be a number"),
        ({"vllm_xargs": {LAMBDA: -1e-9}}, "must be a number"),
        ({"vllm_xargs": {LAMBDA: 10**400}}, "must be a number"),
        ({"vllm_xargs": {RECIPE: "{}"}}, "unknown key 'mi_tui_recipe'"),
        ({"vllm_xargs": {"mi_tui_": 1}}, "unknown key 'mi_tui_'"),
        ({"vllm_xargs": [LAMBDA]}, "must be an object"),
        ({"model": "pair@0.3", "vllm_xargs": {LAMBDA: 0.4}}, "name one"),
        ({"model": "pair@0.3", "use_beam_search": True}, "beam search takes no λ"),
        ({"cache_salt": ""}, "1 to 128"),
        ({"cache_salt": "x" * 129}, "1 to 128"),
        ({"cache_salt": 5}, "1 to 128"),
        ({"cache_salt": "a@b"}, "must not contain"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_short_line(
    body: dict[str, Any], says: str
) -> None:
    with pytest.raises(RefusedError, match=says) as error:
        asked(body)
    assert "\n" not in error.value.message
    assert len(error.value.message) < 150


def test_all_else_passes_as_it_came() -> None:
    body = {
        "model": "pair@low",
        "messages": [{"role": "user", "content": "mi_tui_recipe"}],
        "tools": [{"type": "function"}],
        "vllm_xargs": {"session_id": "a", LAMBDA: 0.25},
        "n": 3,
        "stream": True,
    }
    before = json.dumps(body)
    _, sent = with_lambda(body, DIAL, CHAT)
    assert json.dumps(body) == before, "the caller's own object is left alone"
    assert sent["vllm_xargs"]["session_id"] == "a"
    assert LAMBDA not in sent["vllm_xargs"]
    rest = ("messages", "tools", "n", "stream")
    assert {key: sent[key] for key in rest} == {key: body[key] for key in rest}


def test_an_effort_reaches_the_template_and_not_vllms_own_field() -> None:
    _, sent = asked({"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}})
    assert "reasoning_effort" not in sent
    assert sent["chat_template_kwargs"] == {"enable_thinking": True, "reasoning_effort": "none"}
    _, sent = asked({"reasoning": {"effort": "low", "summary": "auto"}}, RESPONSES)
    assert sent["reasoning"] == {"summary": "auto"}
    assert sent["chat_template_kwargs"] == {"reasoning_effort": "low"}
    assert "chat_template_kwargs" not in asked({"model": "pair@low"})[1]
    assert "chat_template_kwargs" not in asked({"reasoning_effort": "low"}, COMPLETIONS)[1]


def test_another_model_is_left_to_vllm_with_the_servers_lambda() -> None:
    for name in ("other", "other@0.5", "pairs@0.5", "Pair"):
        lambda_, sent = asked({"model": name})
        assert (lambda_, sent["model"]) == (0.5, name)


def test_a_fixed_server_has_its_own_lambda_and_no_other() -> None:
    recipe, sent = with_lambda({"model": "pair@0.5"}, FIXED, CHAT)
    assert (recipe.lambda_, sent["model"]) == (0.5, "pair")
    assert "vllm_xargs" not in sent
    with pytest.raises(RefusedError, match=r"one merged model, λ = 0.5, and no other"):
        with_lambda({"model": "pair@0.4"}, FIXED, CHAT)
    with pytest.raises(RefusedError, match="this server has no efforts"):
        with_lambda({"reasoning_effort": "low"}, FIXED, CHAT)
    with pytest.raises(RefusedError, match="one merged model"):
        without_lambda({"model": "pair@0.4"}, FIXED, generates=True)


def test_a_recipe_with_several_lambdas_has_a_name_and_a_cache_of_its_own() -> None:
    plain = with_lambda({"model": "pair@0.5"}, KNOBS, CHAT)[1]
    for body in ({"model": "pair@knobs"}, {"model": "pair", "reasoning_effort": "knobs"}):
        recipe, sent = with_lambda(body, KNOBS, CHAT)
        assert shown(recipe) == "0.5/0.85"
        assert Recipe.model_validate_json(sent["vllm_xargs"][RECIPE]) == recipe
        assert recipe.lambda_at(0, ModuleKind.FFN) == 0.85
        assert recipe.lambda_at(0, ModuleKind.ATTENTION) == 0.5
        assert sent["cache_salt"] != plain["cache_salt"], "of its λ without the rule"
    assert "rules" not in KNOBS.at(0.3).model_dump(exclude_defaults=True)
    with pytest.raises(RefusedError, match=r"model names λ = 0.5/0.85 and vllm_xargs λ = 0.5: "):
        with_lambda({"model": "pair@knobs", "vllm_xargs": {LAMBDA: 0.5}}, KNOBS, CHAT)
    with pytest.raises(RefusedError, match="takes no λ"):
        without_lambda({"model": "pair@knobs"}, KNOBS, generates=True)


@given(lambdas)
def test_a_lambda_that_is_written_is_read(lambda_: float) -> None:
    assert read_lambda(f"{lambda_:.12f}") == pytest.approx(lambda_, abs=1e-12)


@given(st.text(max_size=20))
def test_any_text_is_a_lambda_from_0_to_1_or_none(text: str) -> None:
    found = read_lambda(text)
    assert found is None or 0 <= found <= 1
    if found is not None:
        assert text.isascii()
        assert float(text) == found


@given(
    st.tuples(st.none() | st.text(min_size=1), lambdas),
    st.tuples(st.none() | st.text(min_size=1), lambdas),
)
def test_salts_are_equal_for_equal_salt_and_lambda_alone(
    one: tuple[str | None, float], other: tuple[str | None, float]
) -> None:
    assert (salted(*one) == salted(*other)) == (one == other)


@pytest.mark.parametrize("salt", ["null", "[null, 0.5]", 'a", 0.5]', salted(None, 0.5)])
def test_no_salt_of_a_caller_opens_the_cache_of_another_lambda(salt: str) -> None:
    mine = {asked({"cache_salt": salt, "model": f"pair@{x}"})[1]["cache_salt"] for x in (0, 0.5, 1)}
    theirs = {asked({"model": f"pair@{x}"})[1]["cache_salt"] for x in (0, 0.5, 1)}
    assert len(mine) == len(theirs) == 3
    assert mine.isdisjoint(theirs)
    other = without_lambda({"cache_salt": salt}, DIAL, generates=True)
    assert other["cache_salt"] not in theirs


@given(st.dictionaries(st.text(), json_values, max_size=6), st.sampled_from([CHAT, RESPONSES]))
def test_any_body_is_refused_or_served_at_one_lambda(body: dict[str, Any], api: Api) -> None:
    try:
        recipe, sent = with_lambda(body, DIAL, api)
    except RefusedError:
        return
    assert lambda_in(sent) == recipe.lambda_
    assert len(sent["cache_salt"]) == 64


@given(
    st.sampled_from(["model", "vllm_xargs", "cache_salt", "reasoning_effort", "reasoning"]),
    json_values,
)
def test_any_value_of_a_field_of_ours_is_refused_or_served(field: str, value: Any) -> None:
    for api in (CHAT, COMPLETIONS, RESPONSES, MESSAGES):
        try:
            recipe, sent = with_lambda({field: value}, DIAL, api)
        except RefusedError:
            continue
        assert lambda_in(sent) == recipe.lambda_


def test_elsewhere_our_keys_are_refused_however_deep() -> None:
    deep: dict[str, Any] = {"sampling_params": {"extra_args": {RECIPE: "{}"}}}
    for body in (deep, [deep], {"a": [{"b": deep}]}, {LAMBDA: 0.5}):
        with pytest.raises(RefusedError, match="cannot be named here"):
            without_lambda(body, DIAL, generates=True)
    with pytest.raises(RefusedError, match="takes no λ"):
        without_lambda({"model": "pair@low"}, DIAL, generates=True)
    same = {"model": "pair", "messages": ["mi_tui_lambda"]}
    assert without_lambda(same, DIAL, generates=True) == same
    named = without_lambda({"model": "pair@low", "prompt": "a"}, DIAL, generates=False)
    assert named == {"model": "pair", "prompt": "a"}
