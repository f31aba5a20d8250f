"""The buffers hold each token's and each request's λ, and never move."""

import random

import pytest
import torch

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers, Place
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.scope import LayerRange, ModuleKind, Scope

PLACES: list[Place] = [
    (0, ModuleKind.ATTENTION),
    (0, ModuleKind.FFN),
    (1, ModuleKind.FFN),
    (None, ModuleKind.EMBEDDINGS),
]
RECIPES = [
    Recipe(lambda_=0.0),
    Recipe(lambda_=0.3),
    Recipe(lambda_=0.8, scope=Scope(modules=(ModuleKind.FFN,))),
    Recipe(lambda_=0.8, scope=Scope(layers=(LayerRange(first=1, last=1),), outside="thinking")),
    Recipe(lambda_=0.5, rules=(LambdaRule(lambda_=0.1, modules=(ModuleKind.ATTENTION,)),)),
]


def lambdas() -> LambdaBuffers:
    return LambdaBuffers(PLACES, most_tokens=64, most_requests=8, device=torch.device("cpu"))


def test_every_row_has_its_recipes_lambda() -> None:
    buffers = lambdas()
    rng = random.Random(0)
    for _ in range(20):
        chosen = [rng.randrange(len(RECIPES)) for _ in range(rng.randrange(1, 8))]
        counts = [rng.randrange(1, 8) for _ in chosen]
        buffers.fill([buffers.number(RECIPES[at].canonical_json()) for at in chosen], counts)
        for place in PLACES:
            column = buffers.column(place)
            wanted = [RECIPES[at].lambda_at(*place) for at in chosen]
            per_token = [w for w, count in zip(wanted, counts, strict=True) for _ in range(count)]
            assert column.requests[: len(wanted), 0].tolist() == pytest.approx(wanted)
            assert column.tokens[: len(per_token), 0].tolist() == pytest.approx(per_token)
            assert column.is_zero == (not any(wanted))


def test_addresses_stay_while_recipes_come() -> None:
    buffers = lambdas()
    before = [buffers.column(place).tokens.data_ptr() for place in PLACES]
    for recipe in RECIPES:
        buffers.fill([buffers.number(recipe.canonical_json())], [3])
    assert [buffers.column(place).tokens.data_ptr() for place in PLACES] == before


def test_a_recipe_keeps_its_number() -> None:
    buffers = lambdas()
    numbers = [buffers.number(recipe.canonical_json()) for recipe in RECIPES + RECIPES]
    assert numbers == [0, 1, 2, 3, 4] * 2


def test_a_recipe_that_comes_later_is_not_taken_for_the_last_step() -> None:
    buffers = lambdas()
    first, second = (buffers.number(RECIPES[at].canonical_json()) for at in (1, 0))
    buffers.fill([first, second], [1, 1])
    buffers.fill([second, first], [1, 1])
    assert buffers.column(PLACES[0]).requests[:2, 0].tolist() == pytest.approx([0.0, 0.3])
