"""The batch follows the memory there is, and a cache that cannot grow says so in time."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import Gemma4TextConfig, Qwen3Config

from mi_tui.engines.transformers.devices import memory
from mi_tui.engines.transformers.model import kv_cache
from mi_tui.engines.transformers.model.kv_cache import KVCache

CPU = torch.device("cpu")
CONFIG = Qwen3Config(
    num_hidden_layers=36, num_key_value_heads=8, head_dim=128, max_position_embeddings=262144
)


def test_bytes_per_token_of_a_known_model() -> None:
    assert memory.cache_bytes_per_token(CONFIG, torch.bfloat16) == 36 * 2 * 8 * 128 * 2


@pytest.mark.parametrize(
    ("free", "sequences"), [(0, 1), (1 << 30, 1), (16 << 30, 22), (1 << 50, 128)]
)
def test_sequences_follow_free_memory(
    free: int, sequences: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: free)
    assert memory.sequences_that_fit(CONFIG, torch.bfloat16, CPU, model_bytes=1 << 20) == sequences


def test_large_models_on_a_cpu_take_fewer_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1 << 50)
    assert memory.sequences_that_fit(CONFIG, torch.float32, CPU, model_bytes=8 << 30) == 32


def test_a_cache_that_would_exceed_memory_raises_before_it_allocates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots = KVCache(4)
    slots.begin_prefill(torch.arange(4), 8)
    states = torch.ones(4, 2, 8, 16)
    slots.update(states, states, 0)
    monkeypatch.setattr(kv_cache, "free_bytes", lambda _: 1000)
    monkeypatch.setattr(kv_cache, "_WORTH_ASKING", 0)
    with pytest.raises(MemoryError):
        slots.begin_decode(torch.arange(4), torch.full((4,), 900), np.full(4, 901))


def test_sequences_keep_their_keys_when_storage_grows_and_sequences_move() -> None:
    slots = KVCache(3)
    slots.begin_prefill(torch.arange(3), 5)
    keys = torch.randn(3, 2, 5, 4)
    slots.update(keys, -keys, 0)
    slots.replace([2], [0], 5)
    slots.begin_decode(torch.arange(2), torch.tensor([5, 200]), np.array([6, 201]))
    new = torch.randn(2, 2, 1, 4)
    got, values = slots.update(new, -new, 0)
    assert torch.equal(got[0, :, :5], keys[2])
    assert torch.equal(got[1, :, :5], keys[1])
    assert torch.equal(got[0, :, 5], new[0, :, 0])
    assert torch.equal(got[1, :, 200], new[1, :, 0])
    assert torch.equal(values, -got)
    assert slots.bias(None, got, got.shape[2]).isfinite().sum(-1).flatten().tolist() == [6, 201]
    assert slots.bias(4, got, got.shape[2]).isfinite().sum(-1).flatten().tolist() == [4, 4]


def test_sequences_take_the_places_of_those_that_leave_without_more_memory() -> None:
    slots = KVCache(4)
    slots.begin_prefill(torch.arange(4), 64)
    keys = torch.randn(4, 2, 64, 4)
    slots.update(keys, -keys, 0)
    with torch.profiler.profile(profile_memory=True) as seen:
        slots.replace([3, 2], [0, 1], 64)
    assert not [event.name for event in seen.events() if event.self_cpu_memory_usage > 0]
    slots.begin_decode(torch.arange(4), torch.full((4,), 64), np.full(4, 65))
    got, values = slots.update(torch.zeros(4, 2, 1, 4), torch.zeros(4, 2, 1, 4), 0)
    assert torch.equal(got[:, :, :64], keys[[3, 2, 2, 3]])
    assert torch.equal(values[:, :, :64], -got[:, :, :64])


def test_layers_may_differ_in_their_heads() -> None:
    """Gemma 4 has heads of one size in windows and of another in full attention."""
    kinds = ["sliding_attention", "full_attention"] * 2
    # The library's own annotations do not know all arguments.
    make: Any = Gemma4TextConfig
    config = make(
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        global_head_dim=32, layer_types=kinds, num_kv_shared_layers=2, sliding_window=8,
    )  # fmt: skip
    assert memory.cache_bytes_per_token(config, torch.float32) == 4 * 2 * 2 * (2 * 16 + 2 * 32)
    assert memory.sequences_that_fit(config, torch.float32, CPU, model_bytes=1 << 20) > 1
