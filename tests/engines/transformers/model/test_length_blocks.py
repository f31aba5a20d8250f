"""Sequences in blocks of like length: nothing is lost, less is read, and the result is the same."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from mi_tui.engines.protocol import Request
from mi_tui.engines.transformers.decoding import decoder
from mi_tui.engines.transformers.model import kv_cache
from mi_tui.engines.transformers.model import length_blocks as length_blocks_module
from mi_tui.engines.transformers.model.attention import slot_attention
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.model.length_blocks import BLOCK, length_blocks, sort_into_blocks
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import (
    GREEDY,
    engine_for,
    generated,
    merged_model,
    prompts,
    run,
    with_end,
)

LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=100).map(
    lambda lengths: np.array(lengths, dtype=np.int64)
)


@given(LENGTHS, st.integers(0, 5000))
def test_blocks_cover_every_sequence_as_far_as_it_goes(
    lengths: NDArray[np.int64], worth: int
) -> None:
    parts = length_blocks(lengths, worth)
    sequences = [sequence for part in parts for sequence in range(part.start, part.stop)]
    assert sequences == list(range(len(lengths)))
    for part in parts:
        assert part.length == lengths[part.start : part.stop].max()


def test_a_call_is_made_only_where_it_saves_enough() -> None:
    lengths = np.repeat([900, 300, 290], BLOCK)
    assert len(length_blocks(lengths, 0)) == 3
    assert [part.length for part in length_blocks(lengths, 11 * BLOCK)] == [900, 300]
    assert len(length_blocks(lengths, 700 * BLOCK * 2)) == 1


@given(LENGTHS)
@example(np.array([1] * BLOCK + [38]))
def test_arranging_only_changes_places_and_lessens_what_is_read(
    lengths: NDArray[np.int64],
) -> None:
    origins, targets = sort_into_blocks(lengths)
    assert sorted(origins) == targets
    after = lengths.copy()
    after[targets] = lengths[origins]

    def read(lengths: NDArray[np.int64]) -> int:
        return sum((part.stop - part.start) * part.length for part in length_blocks(lengths, 0))

    assert read(after) < read(lengths) or not origins
    assert sort_into_blocks(after) == ([], [])


def test_sorted_sequences_fall_in_length_from_block_to_block() -> None:
    lengths = np.random.default_rng(0).integers(1, 4000, 7 * BLOCK + 3)
    origins, targets = sort_into_blocks(lengths)
    lengths[targets] = lengths[origins]
    blocks = [lengths[at : at + BLOCK] for at in range(0, len(lengths), BLOCK)]
    for longer, shorter in itertools.pairwise(blocks):
        assert longer.min() // 32 >= shorter.max() // 32


@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("softcap", [None, 30.0])
def test_attention_in_blocks_is_that_of_all_sequences_at_once(
    window: int | None, softcap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = 3 * BLOCK - 5
    lengths = np.sort(np.random.default_rng(1).integers(2, 200, sequences))[::-1].copy()
    states = torch.randn(sequences, 2, 200, 8)
    query = torch.randn(sequences, 4, 1, 8)

    def attended(call_bytes: int) -> tuple[int, torch.Tensor]:
        monkeypatch.setitem(kv_cache._CALL_BYTES, "cpu", call_bytes)
        slots = KVCache(sequences)
        slots.begin_prefill(torch.arange(sequences), 200)
        slots.update(states, -states, 0)
        slots.begin_decode(torch.arange(sequences), torch.from_numpy(lengths - 1), lengths)
        keys, values = slots.update(query[:, :2], query[:, 2:], 0)
        output, _ = slot_attention(
            nn.Identity(),
            query,
            keys,
            values,
            None,
            slots=slots,
            sliding_window=window,
            softcap=softcap,
        )
        return len(slots.blocks), output

    one, expected = attended(1 << 40)
    several, found = attended(0)
    assert (one, several) == (1, 3)
    torch.testing.assert_close(found, expected)


def test_memory_that_runs_out_while_sequences_change_places_costs_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "_SORT_EVERY", 2)
    monkeypatch.setattr(length_blocks_module, "_ALIKE", 1)
    permute = KVCache.permute
    torn: list[int] = []

    def failing(self: KVCache, origins: list[int], targets: list[int], length: int) -> None:
        if len(origins) > 2 and not torn:
            torn.append(len(origins))
            self._keys[0][targets] = self._keys[0][origins]
            raise torch.OutOfMemoryError("CUDA out of memory")
        permute(self, origins, targets, length)

    monkeypatch.setattr(KVCache, "permute", failing)
    pair = tiny_pair("qwen3", tmp_path)
    recipe = Recipe(lambda_=0.4, decoding=GREEDY)
    questions = prompts(3 * BLOCK, longest=60)
    requests = [Request(n, recipe, prompt, 0, 12) for n, prompt in enumerate(questions)]
    done = run(engine_for(pair, batch=3 * BLOCK), requests)
    assert torn
    model = merged_model(pair, recipe)
    for request in requests:
        assert with_end(done[request.id]) == generated(model, request.prompt, 12)


def test_sequences_move_in_parts_that_fit_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = KVCache(5)
    slots.begin_prefill(torch.arange(5), 50)
    keys = torch.randn(5, 2, 50, 4)
    slots.update(keys, -keys, 0)
    monkeypatch.setattr(kv_cache, "_MOVED_AT_ONCE", 1000)
    slots.permute([4, 0, 1], [0, 1, 4], 50)
    lengths = np.full(5, 51)
    slots.begin_decode(torch.arange(5), torch.full((5,), 50), lengths)
    got, values = slots.update(torch.zeros(5, 2, 1, 4), torch.zeros(5, 2, 1, 4), 0)
    assert torch.equal(got[:, :, :50], keys[[4, 0, 2, 3, 1]])
    assert torch.equal(values[:, :, :50], -got[:, :, :50])


@pytest.mark.parametrize("family", ["qwen3", "gemma2"])
def test_many_sequences_that_change_places_equal_the_merged_model(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kv_cache._CALL_BYTES, "cpu", 0)
    monkeypatch.setattr(decoder, "_SORT_EVERY", 2)
    sorted_sequences: list[int] = []
    permute = KVCache.permute

    def counted(self: KVCache, origins: list[int], targets: list[int], length: int) -> None:
        sorted_sequences.append(len(origins))
        permute(self, origins, targets, length)

    monkeypatch.setattr(KVCache, "permute", counted)
    pair = tiny_pair(family, tmp_path)
    questions = prompts(3 * BLOCK, longest=60)
    recipes = [Recipe(lambda_=lambda_, decoding=GREEDY) for lambda_ in (0.2, 0.7)]
    requests = [
        Request(number, recipes[number % 2], prompt, 0, 4 + number % 13)
        for number, prompt in enumerate(questions)
    ]
    done = run(engine_for(pair, "one-pass", batch=3 * BLOCK - 4), requests)
    models = [merged_model(pair, recipe) for recipe in recipes]
    for request in requests:
        expected = generated(models[request.id % 2], request.prompt, request.max_new_tokens)
        assert with_end(done[request.id]) == expected
    assert sum(sorted_sequences) > BLOCK
