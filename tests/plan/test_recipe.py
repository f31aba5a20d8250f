"""Recipes: λ by layer and module kind, labels, keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mi_tui.plan.recipe import Decoding, LambdaRule, Recipe, interpolation, labels
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers

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
