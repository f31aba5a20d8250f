"""Recipes: λ by layer and module kind, labels, keys."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.library import find_preset
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import (
    Decoding,
    LambdaRule,
    Recipe,
    capped_thinking,
    interpolation,
    labels,
    with_knobs,
)
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from mi_tui.plan.toml import PresetError, read_preset, write_preset

lambdas = st.floats(0, 1)
kinds = st.sampled_from(ModuleKind)


@given(lambdas, st.one_of(st.none(), st.integers(0, 99)), kinds)
def test_a_full_scope_has_one_lambda(lambda_: float, layer: int | None, kind: ModuleKind) -> None:
    assert interpolation(lambda_).lambda_at(layer, kind) == pytest.approx(lambda_, abs=1e-6)


@given(lambdas, st.integers(0, 99), kinds)
def test_outside_the_scope_instruct_stays(lambda_: float, layer: int, kind: ModuleKind) -> None:
    recipe = interpolation(lambda_, Scope(layers=parse_layers("10-20")))
    inside = 10 <= layer <= 20
    assert recipe.lambda_at(layer, kind) == (recipe.lambda_ if inside else 0.0)


def test_outside_may_be_thinking() -> None:
    recipe = interpolation(0.3, Scope(modules=(ModuleKind.FFN,), outside="thinking"))
    assert recipe.lambda_at(0, ModuleKind.ATTENTION) == 1.0
    assert recipe.lambda_at(0, ModuleKind.FFN) == 0.3


def test_the_last_fitting_rule_wins() -> None:
    recipe = Recipe(
        lambda_=0.5,
        rules=(
            LambdaRule(lambda_=0.2, layers=parse_layers("0-9")),
            LambdaRule(lambda_=0.9, layers=parse_layers("5-9"), modules=(ModuleKind.FFN,)),
        ),
    )
    assert recipe.lambda_at(5, ModuleKind.FFN) == 0.9
    assert recipe.lambda_at(5, ModuleKind.ATTENTION) == 0.2
    assert recipe.lambda_at(20, ModuleKind.FFN) == 0.5


@given(lambdas)
def test_recipes_survive_json_with_their_key(lambda_: float) -> None:
    recipe = interpolation(lambda_)
    again = Recipe.from_json(recipe.canonical_json())
    assert again == recipe
    assert again.key == recipe.key


@pytest.mark.parametrize("lambda_", [-0.01, 1.01, float("nan"), float("inf")])
def test_lambda_outside_its_range_is_refused(lambda_: float) -> None:
    with pytest.raises(ValidationError):
        interpolation(lambda_)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lambda_": 0.5, "scale": 0.7},
        {"method": "ties", "scale": 0.5},
        {"method": "task-arithmetic"},
        {"method": "task-arithmetic", "scale": 0.7, "density": 0.2},
        {"method": "task-arithmetic", "scale": 0.7, "lambda_": 0.5},
    ],
)
def test_what_does_not_belong_together_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("recipe", "label"),
    [
        (interpolation(0.55), "MI-0.55"),
        (interpolation(1), "MI-1"),
        (interpolation(0.8, Scope(layers=parse_layers("12-35"))), "MI-0.8 · layers 12–35"),
        (Recipe(method="ties", scale=0.5, density=0.2), "TIES"),
        (Recipe(method="task-arithmetic", scale=0.7), "TA-0.7"),
    ],
)
def test_labels(recipe: Recipe, label: str) -> None:
    assert recipe.label == label


def test_a_baseline_has_no_lambda() -> None:
    with pytest.raises(ValueError, match="no λ"):
        Recipe(method="ties", scale=0.5, density=0.2).lambda_at(0, ModuleKind.FFN)


def test_a_recipe_stored_before_checkpoints_of_its_own_keeps_its_key() -> None:
    assert interpolation(0.5).key == Recipe.from_json(interpolation(0.5).canonical_json()).key
    assert "backbone" not in interpolation(0.5).canonical_json()
    assert interpolation(0.5).key == "b0f769edd2b89f03"
    other = Recipe(lambda_=0.5, backbone="Qwen/Qwen3-4B")
    assert other.key != interpolation(0.5).key
    assert Recipe.from_json(other.canonical_json()) == other
    assert other.label == "MI-0.5 · from Qwen3-4B"


def test_checkpoints_of_its_own_belong_to_the_method() -> None:
    with pytest.raises(ValueError, match="write backbone"):
        Recipe(lambda_=0.5, base="x")
    with pytest.raises(ValueError, match="belongs to an interpolation"):
        Recipe(method="ties", scale=0.5, density=0.2, backbone="x")


def test_labels_name_the_decoding_where_it_differs() -> None:
    warm = interpolation(0.4).model_copy(update={"decoding": Decoding(temperature=0.7, top_p=0.8)})
    assert labels([interpolation(0.4), warm]) == ("MI-0.4", "MI-0.4 · T 0.7, top-p 0.8")
    assert labels([]) == ()


STORED = {
    "b0f769edd2b89f03": interpolation(0.5),
    "7c2c1e00181ccd81": interpolation(0.0),
    "8e1070d5c9d7fac7": interpolation(
        0.8,
        Scope(layers=parse_layers("12-35"), modules=(ModuleKind.FFN,), outside="thinking"),
    ),
    "ce2538b87d457bcd": Recipe(
        lambda_=0.5,
        rules=(LambdaRule(lambda_=0.2, layers=parse_layers("0-9")),),
        decoding=Decoding(temperature=0, top_k=20),
    ),
    "b1f66d2d5046dcc2": Recipe(lambda_=0.8, backbone="Qwen/Qwen3-4B"),
    "386037914641b292": Recipe(method="task-arithmetic", scale=0.7),
    "63d7b2a7e8e635e0": Recipe(method="task-arithmetic", scale=1),
    "d77a019bb37824d7": Recipe(method="task-arithmetic", scale=0.7, base="Qwen/Qwen3-4B-Base"),
    "bab1fbfb4003749d": Recipe(method="ties", scale=0.5, density=0.2),
    "0c6a9f8ea24f5a71": Recipe(method="ties", scale=2, density=1, base="b"),
}
"""Keys under which recipes lie in the databases of studies, by the recipe."""


@pytest.mark.parametrize("key", STORED)
def test_the_keys_of_stored_recipes_hold(key: str) -> None:
    assert STORED[key].key == key


def test_the_json_of_a_stored_recipe_is_read_and_written_byte_by_byte() -> None:
    modules = '["attention","ffn","router","norms","embeddings","head"]'
    text = (
        '{"decoding":{"temperature":0.6,"top_k":0,"top_p":0.95},"density":0.2,"lambda":null,'
        f'"method":"ties","rules":[],"scale":0.5,"scope":{{"layers":"all","modules":{modules},'
        '"outside":"instruct"}}'
    )
    assert Recipe.from_json(text) == Recipe(method="ties", scale=0.5, density=0.2)
    assert Recipe.from_json(text).canonical_json() == text


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("demo", "98e7897c7d3724fa"),
        ("paper-4b-layers", "ff475c470878b53e"),
        ("paper-4b-backbones", "af4d2752f9e61b7c"),
    ],
)
def test_the_keys_of_stored_presets_hold(name: str, key: str) -> None:
    assert find_preset(name)[1].key == key


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"method": "ties", "scale": 0.5}, "ties needs density, a number above 0, at most 1"),
        ({"method": "ties", "scale": 0.5, "density": 1.5}, "density = 1.5: a number above 0"),
        ({"method": "ties", "scale": "0.5", "density": 0.2}, "scale = '0.5': a number"),
        ({"method": "ties", "scale": True, "density": 0.2}, "scale = True: a number"),
        ({"method": "ties", "scale": float("nan"), "density": 0.2}, "scale = nan: a number"),
        (
            {"method": "ties", "scale": 0.5, "density": 0.2, "seed": 3},
            "unknown key seed: ties takes scale and density",
        ),
        ({"method": "ties", "scale": 0.5, "density": 0.2, "seed": None}, "unknown key seed"),
        ({"lambda_": 0.5, "scale": 0.7}, "unknown key scale: interpolation takes lambda"),
        ({"method": "slerp"}, "slerp needs lambda, a number from 0 to 1"),
        ({"method": "dare", "scale": 0.7, "density": 0.2, "seed": 1.5}, "seed = 1.5: a whole"),
        ({"method": "dare", "scale": 0.7, "density": 0.2, "seed": -1}, "seed = -1: a whole"),
        ({"method": "tie"}, "unknown merge method 'tie': use one of interpolation, task"),
    ],
)
def test_a_refusal_says_what_the_method_takes(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        Recipe(**fields)


def test_defaults_are_part_of_the_identity() -> None:
    short = Recipe(method="dare", scale=0.7, density=0.2)
    assert short == Recipe(method="dare", scale=0.7, density=0.2, seed=0)
    assert '"seed":0' in short.canonical_json()
    other = Recipe(method="dare", scale=0.7, density=0.2, seed=3)
    assert other != short
    assert other.key != short.key
    assert (short.label, other.label) == ("DARE", "DARE · seed 3")
    assert Recipe.from_json(other.canonical_json()) == other


def test_a_capped_thought_is_part_of_the_identity_and_of_no_older_key() -> None:
    row = capped_thinking(1024)
    assert row.label == "Thinking · thought ≤ 1,024"
    assert row.uncapped == interpolation(1.0)
    assert interpolation(0.5).uncapped == interpolation(0.5)
    assert "thinking_cap" not in interpolation(1.0).canonical_json()
    assert Recipe.from_json(row.canonical_json()) == row
    assert (row.is_uniform, row.is_one_lambda, row.is_of_the_pair) == (False, True, True)
    mixed = Recipe(lambda_=0.6, thinking_cap=64)
    assert mixed.label == "MI-0.6 · thought ≤ 64"
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        capped_thinking(0)


def test_rows_of_capped_thoughts_are_added_once(tmp_path: Path) -> None:
    demo = find_preset("demo")[1]
    preset = demo.with_thinking_caps([40, 40, 80])
    assert [row.thinking_cap for row in preset.recipes[len(demo.recipes) :]] == [40, 80]
    assert preset.with_thinking_caps([80]) == preset
    assert demo.with_thinking_caps([]).key == demo.key
    path = tmp_path / "capped.toml"
    write_preset(preset, path)
    assert "thinking_cap = 80" in path.read_text()
    assert read_preset(path) == preset


def test_parameters_stand_flat_in_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    path.write_text(
        'title = "Rows"\n'
        'recipes = [{ method = "dare", scale = 0.7, density = 0.2, seed = 3 }]\n'
        '[pair]\ninstruct = "a"\nthinking = "b"\n[[probes]]\nkind = "arithmetic"\n'
    )
    found = read_preset(path)
    assert dict(found.recipes[0].parameters) == {"scale": 0.7, "density": 0.2, "seed": 3}
    assert read_written(found, tmp_path / "again.toml") == found
    path.write_text(path.read_text().replace("density", "densty"))
    with pytest.raises(PresetError, match=r"recipes\.0: unknown key densty: dare takes scale, d"):
        read_preset(path)


def read_written(preset: Preset, path: Path) -> Preset:
    write_preset(preset, path)
    return read_preset(path)


def test_only_an_interpolation_of_the_pair_lies_on_its_line() -> None:
    slerp = Recipe(method="slerp", lambda_=0.5)
    assert slerp.label == "SLERP-0.5"
    assert not slerp.is_uniform
    assert not slerp.is_of_the_pair
    assert interpolation(0.5).is_uniform
    assert not Recipe(lambda_=0.5, backbone="x").is_uniform
    scoped = Recipe(method="slerp", lambda_=0.5, scope=Scope(modules=(ModuleKind.FFN,)))
    assert scoped.values_at(0, ModuleKind.ATTENTION) == {"lambda": 0.0}
    assert scoped.values_at(0, ModuleKind.FFN) == {"lambda": 0.5}


@pytest.mark.parametrize(
    "break_", ["\n", "\r", "\x85", "\u2028", "\x1b[2J", "\u202e", "\t", "\ud83d"]
)
def test_a_checkpoint_in_a_recipe_is_one_plain_line(break_: str) -> None:
    text = f"team/model{break_} touch here"
    with pytest.raises(ValueError, match=r"backbone\s+(must be one line|holds|Input should be)"):
        Recipe(lambda_=0.5, backbone=text)
    with pytest.raises(ValueError, match=r"backbone|Invalid JSON"):
        Recipe.from_json(json.dumps({"lambda": 0.5, "backbone": text}))


@given(lambdas, lambdas, st.one_of(st.none(), st.integers(0, 99)), kinds)
def test_two_knobs_turn_the_ffn_and_all_else(
    attention: float, ffn: float, layer: int | None, kind: ModuleKind
) -> None:
    recipe = with_knobs(interpolation(0.3), attention, ffn)
    turned = ffn if kind in (ModuleKind.FFN, ModuleKind.ROUTER) else attention
    assert recipe.lambda_at(layer, kind) == pytest.approx(turned, abs=1e-6)
    assert recipe.knobs == pytest.approx((attention, ffn), abs=1e-6)
    assert Recipe.model_validate_json(recipe.canonical_json()) == recipe


def test_two_equal_knobs_are_the_uniform_recipe() -> None:
    assert with_knobs(interpolation(0.3), 0.5, 0.5) == interpolation(0.5)
    assert with_knobs(interpolation(0.3), 0.5, 0.85).label == "MI-0.5 · FFN 0.85"


def test_other_rules_are_no_knobs() -> None:
    rule = LambdaRule(lambda_=0.8, layers=parse_layers("0-8"))
    assert interpolation(0.3).model_copy(update={"rules": (rule,)}).knobs is None
    assert Recipe.model_validate({"method": "ties", "scale": 0.5, "density": 0.2}).knobs is None
