"""The buffers hold each token's and each request's λ, and never move."""

import random

import pytest
import torch

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.recipe_table import Place, RecipeTable
from mi_tui.engines.vllm.worker.requested_lambda import RECIPE
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
    table = RecipeTable(PLACES, 8, Recipe(lambda_=0.0), torch.device("cpu"))
    return LambdaBuffers(PLACES, table, most_tokens=64, most_logits=8)


def rows(buffers: LambdaBuffers, chosen: list[int]) -> list[int]:
    recipes = [RECIPES[at].canonical_json() for at in chosen]
    return [buffers.table.hold(recipe, {RECIPE: recipe}) for recipe in recipes]


def test_every_row_has_its_recipes_lambda() -> None:
    buffers = lambdas()
    rng = random.Random(0)
    for _ in range(20):
        chosen = [rng.randrange(len(RECIPES)) for _ in range(rng.randrange(1, 8))]
        counts = [rng.randrange(1, 8) for _ in chosen]
        of_logits = torch.tensor(rows(buffers, chosen))
        of_tokens = of_logits.repeat_interleave(torch.tensor(counts))
        buffers.write(of_tokens, of_logits, of_logits.tolist())
        for place in PLACES:
            column = buffers.column(place)
            wanted = [RECIPES[at].lambda_at(*place) for at in chosen]
            per_token = [w for w, count in zip(wanted, counts, strict=True) for _ in range(count)]
            assert column.logits[: len(wanted), 0].tolist() == pytest.approx(wanted)
            assert column.tokens[: len(per_token), 0].tolist() == pytest.approx(per_token)
            assert column.is_zero == (not any(wanted))


def test_addresses_stay_while_recipes_come() -> None:
    buffers = lambdas()
    before = [buffers.column(place).tokens.data_ptr() for place in PLACES]
    for at in range(len(RECIPES)):
        row = torch.tensor(rows(buffers, [at]))
        buffers.write(row.repeat(3), row, row.tolist())
    assert [buffers.column(place).tokens.data_ptr() for place in PLACES] == before


def test_a_step_is_held_while_its_rows_and_counts_stay() -> None:
    buffers = lambdas()
    first, second = rows(buffers, [1, 0])
    assert not buffers.holds([first, second], [1, 1])
    assert buffers.holds([first, second], [1, 1])
    assert not buffers.holds([second, first], [1, 1])
    assert not buffers.holds([second, first], [1, 2])
    rows(buffers, [2])
    assert not buffers.holds([second, first], [1, 2])
