"""What a request may name, and what is refused in one line."""

import json

import pytest

from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA, RECIPE, requested
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind, Scope


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        (None, None),
        ({}, None),
        ({"kv_transfer_params": {}}, None),
        ({LAMBDA: 0.55}, 0.55),
        ({LAMBDA: "0.55"}, 0.55),
        ({LAMBDA: 1}, 1.0),
        ({RECIPE: "0.55"}, 0.55),
        ({RECIPE: 0}, 0.0),
    ],
)
def test_numbers(extra: dict[str, object] | None, wanted: float | None) -> None:
    assert requested(extra) == wanted


def test_a_recipe() -> None:
    recipe = Recipe(lambda_=0.3, scope=Scope(modules=(ModuleKind.FFN,)))
    assert requested({RECIPE: recipe.canonical_json()}) == recipe


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({LAMBDA: "abc"}, "mi_tui_lambda must be a number from 0 to 1, not 'abc'"),
        ({LAMBDA: 1.5}, "from 0 to 1, not 1.5"),
        ({LAMBDA: -0.1}, "not -0.1"),
        ({LAMBDA: "nan"}, "not 'nan'"),
        ({LAMBDA: float("inf")}, "not inf"),
        ({LAMBDA: True}, "not True"),
        ({LAMBDA: None}, "not None"),
        ({LAMBDA: [0.5]}, r"not \[0.5\]"),
        ({LAMBDA: "x" * 1000}, "…"),
        ({LAMBDA: 10**400}, "from 0 to 1"),
        ({RECIPE: "MI-0.5"}, "mi_tui_recipe must be a number from 0 to 1, not 'MI-0.5'"),
        ({RECIPE: {"lambda": 0.5}}, "must be a number"),
        ({RECIPE: "{"}, "mi_tui_recipe"),
        ({RECIPE: "{}"}, "mi_tui_recipe: interpolation needs lambda"),
        ({RECIPE: json.dumps({"lambda": 2})}, "lambda = 2"),
        ({RECIPE: "{" + "[" * 10_000}, "mi_tui_recipe"),
        ({RECIPE: "{" + " " * 20_000 + "}"}, "longer than 16,384 characters"),
        (
            {RECIPE: json.dumps({"method": "task-arithmetic", "scale": 0.5})},
            "cannot be mixed request by request",
        ),
        (
            {RECIPE: json.dumps({"lambda": 0.5, "backbone": "x/y"})},
            "cannot be mixed request by request",
        ),
        ({LAMBDA: 0.5, RECIPE: 0.5}, "not both"),
        ({"mi_tui_lamda": 0.5}, "'mi_tui_lamda' is no argument: name mi_tui_lambda or"),
    ],
)
def test_nonsense_is_refused_in_one_line(extra: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        requested(extra)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
