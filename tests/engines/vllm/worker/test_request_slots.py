"""λ of each row of a batch of vLLM's second runner, which names requests by their slots."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mi_tui.engines.vllm.worker.lambda_buffers import LambdaBuffers
from mi_tui.engines.vllm.worker.recipe_table import RecipeTable
from mi_tui.engines.vllm.worker.request_slots import RequestSlots
from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind

PLACE = (0, ModuleKind.FFN)


@pytest.fixture
def lambdas() -> LambdaBuffers:
    table = RecipeTable([PLACE], 4, Recipe(lambda_=1.0), torch.device("cpu"))
    return LambdaBuffers([PLACE], table, most_tokens=16, most_logits=8)


@pytest.fixture
def slots(lambdas: LambdaBuffers) -> RequestSlots:
    return RequestSlots(lambdas, 6)


def add(slots: RequestSlots, slot: int, request: str, lambda_: float) -> None:
    slots.add(slot, request, SimpleNamespace(extra_args={LAMBDA: lambda_}))
    slots.apply_staged_writes()


def batch(requests: list[tuple[int, int]], drafts: list[int] | None = None) -> SimpleNamespace:
    """As vLLM's ``InputBatch``: (slot, tokens) of each request, and how many are drafts."""
    slots = np.array([slot for slot, _ in requests])
    tokens = np.array([count for _, count in requests], dtype=np.int32)
    drafted = drafts or [0] * len(requests)
    starts = np.array([0, *np.cumsum(tokens), *[tokens.sum()] * 3], dtype=np.int32)
    rows = [s for (s, _), more in zip(requests, drafted, strict=True) for _ in range(1 + more)]
    return SimpleNamespace(
        num_reqs=len(requests),
        idx_mapping=torch.from_numpy(slots),
        idx_mapping_np=slots,
        expanded_idx_mapping=torch.tensor(rows),
        num_scheduled_tokens=tokens,
        num_tokens=int(tokens.sum()),
        num_draft_tokens=sum(drafted),
        query_start_loc=torch.from_numpy(starts),
    )


def held(lambdas: LambdaBuffers, tokens: int, logits: int) -> tuple[list[float], list[float]]:
    column = lambdas.column(PLACE)
    return column.tokens[:tokens, 0].tolist(), column.logits[:logits, 0].tolist()


def test_each_token_and_row_of_logits_has_its_requests_lambda(
    slots: RequestSlots, lambdas: LambdaBuffers
) -> None:
    add(slots, 5, "a", 0.25)
    add(slots, 2, "b", 0.5)
    slots.write(batch([(2, 1), (5, 3)]))
    assert held(lambdas, 4, 2) == ([0.5, 0.25, 0.25, 0.25], [0.5, 0.25])
    assert not lambdas.column(PLACE).is_zero


def test_a_slot_that_is_given_again_has_the_new_requests_lambda(
    slots: RequestSlots, lambdas: LambdaBuffers
) -> None:
    add(slots, 0, "a", 0.25)
    slots.write(batch([(0, 2)]))
    slots.remove("a")
    add(slots, 0, "b", 0.75)
    slots.write(batch([(0, 2)]))
    assert held(lambdas, 2, 1) == ([0.75, 0.75], [0.75])


def test_drafts_have_rows_of_logits_of_their_own(
    slots: RequestSlots, lambdas: LambdaBuffers
) -> None:
    add(slots, 0, "a", 0.25)
    add(slots, 1, "b", 0.5)
    slots.write(batch([(0, 3), (1, 2)], drafts=[2, 1]))
    assert held(lambdas, 5, 5) == ([0.25] * 3 + [0.5] * 2, [0.25] * 3 + [0.5] * 2)
    slots.write(batch([(0, 3), (1, 2)]))
    assert held(lambdas, 5, 2) == ([0.25] * 3 + [0.5] * 2, [0.25, 0.5])


def test_a_request_without_sampling_has_the_default(
    slots: RequestSlots, lambdas: LambdaBuffers
) -> None:
    slots.add(3, "a", None)
    slots.apply_staged_writes()
    slots.write(batch([(3, 2)]))
    assert held(lambdas, 2, 1) == ([1.0, 1.0], [1.0])


def test_dummy_batches_of_slots_that_nobody_has_are_written_too(
    slots: RequestSlots, lambdas: LambdaBuffers
) -> None:
    slots.write(batch([(0, 8), (1, 8)]))
    assert held(lambdas, 16, 2) == ([0.0] * 16, [0.0] * 2)


def test_a_recipe_in_a_reused_row_is_written_although_the_batch_looks_the_same(
    lambdas: LambdaBuffers,
) -> None:
    table = RecipeTable([PLACE], 1, Recipe(lambda_=0.0), torch.device("cpu"))
    lambdas = LambdaBuffers([PLACE], table, most_tokens=4, most_logits=2)
    slots = RequestSlots(lambdas, 1)
    for lambda_ in (0.1, 0.3):
        recipe = Recipe(lambda_=lambda_).canonical_json()
        slots.add(0, "a", SimpleNamespace(extra_args={"mi_tui_recipe": recipe}))
        slots.apply_staged_writes()
        slots.write(batch([(0, 2)]))
        assert held(lambdas, 2, 1)[1] == pytest.approx([lambda_])
        slots.remove("a")
