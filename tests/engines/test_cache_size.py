"""The bytes of a KV cache, told from configs, are those that caches have."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.cache_utils import DynamicCache

from mi_tui.engines.cache_size import BLOCK, CacheSize, cache_size

_Model: Any = AutoModelForCausalLM  # the library's own annotations do not know it

QWEN3_4B: dict[str, Any] = {
    "model_type": "qwen3",
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 2560,
    "sliding_window": None,
    "use_sliding_window": False,
    "max_window_layers": 36,
}
QWEN3_30B_A3B = {**QWEN3_4B, "num_hidden_layers": 48, "num_key_value_heads": 4}
DEEPSEEK_V3 = {
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "hidden_size": 7168,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
}
QWEN3_NEXT = {
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "hidden_size": 2048,
    "full_attention_interval": 4,
    "linear_num_value_heads": 32,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}
GPT_OSS_20B = {
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "hidden_size": 2880,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
}


@pytest.mark.parametrize(
    ("config", "item", "each"),
    [
        (QWEN3_4B, 2, 147_456),
        (QWEN3_4B, 1, 73_728),
        (QWEN3_30B_A3B, 2, 98_304),
        ({**QWEN3_4B, "head_dim": None}, 2, 2 * 36 * 8 * 80 * 2),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768}, 2, 2 * 12 * 768 * 2),
        ({**QWEN3_4B, "num_kv_shared_layers": 6}, 2, 2 * 30 * 8 * 128 * 2),
        (
            {
                **QWEN3_4B,
                "layer_types": ["sliding_attention", "full_attention"] * 18,
                "global_head_dim": 256,
                "num_global_key_value_heads": 4,
            },
            2,
            2 * 36 * 8 * 128 * 2,
        ),
    ],
)
def test_each_token_takes_its_keys_and_values(config: dict[str, Any], item: int, each: int) -> None:
    assert cache_size(config, item) == CacheSize(each)


def test_latent_attention_keeps_what_is_compressed_on_every_device() -> None:
    for ranks in (1, 8):
        assert cache_size(DEEPSEEK_V3, 2, ranks=ranks) == CacheSize(61 * (512 + 64) * 2)


def test_layers_without_attention_keep_a_state_of_one_size() -> None:
    found = cache_size(QWEN3_NEXT, 2)
    assert found is not None
    assert found.growing == 2 * 12 * 2 * 256 * 2
    states = 36 * (4 * 32 * 128 * 128 + 2 * 4 * (2 * 16 * 128 + 32 * 128))
    assert found.fixed == states
    assert found.row(1 << 16) - found.row(1 << 15) == found.growing << 15
    both = cache_size({**QWEN3_4B, "mamba_d_ssm": 1024, "mamba_d_state": 256}, 2)
    assert both is not None
    assert both.growing == 147_456
    assert both.fixed > 0
    marks = {**QWEN3_4B, "hybrid_override_pattern": "M-M*-E", "mamba_d_state": 8}
    nemotron = cache_size(marks, 2)
    assert nemotron is not None
    assert nemotron.growing == 2 * 8 * 128 * 2


def test_windows_count_where_older_tokens_are_given_back() -> None:
    each = 2 * 12 * 8 * 64 * 2
    assert cache_size(GPT_OSS_20B, 2) == CacheSize(2 * each)
    found = cache_size(GPT_OSS_20B, 2, forgets=True)
    assert found is not None
    assert (found.growing, found.windows) == (each, ((128 + 8192, each),))
    assert found.row(100_000) < CacheSize(2 * each).row(100_000)
    mistral = {**QWEN3_4B, "model_type": "mistral", "sliding_window": 4096}
    mistral.pop("use_sliding_window")
    everywhere = cache_size(mistral, 2, forgets=True)
    assert everywhere is not None
    assert everywhere.growing == 0
    # A family that nobody knows may have a window in some layers alone.
    unknown = cache_size({**mistral, "model_type": "new"}, 2, forgets=True)
    assert unknown == CacheSize(147_456)


def test_ranks_share_heads_until_each_has_one() -> None:
    sizes = [cache_size(QWEN3_4B, 2, ranks=ranks) for ranks in (1, 2, 8, 16)]
    assert [size.growing for size in sizes if size] == [147_456, 73_728, 18_432, 18_432]


def test_a_config_without_layers_tells_nothing() -> None:
    assert cache_size({"hidden_size": 64}, 2) is None


@pytest.mark.parametrize(
    ("family", "own"),
    [
        ("qwen3", {"head_dim": 8}),
        ("llama", {}),
        ("gemma2", {"head_dim": 16}),
        ("phi", {}),
        ("gpt2", {}),
        ("deepseek_v3", {"qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8}),
    ],
)
def test_a_real_cache_takes_as_much(family: str, own: dict[str, int]) -> None:
    shape = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "vocab_size": 64,
    }
    if family in ("qwen3", "llama", "gemma2"):
        shape["num_key_value_heads"] = 2
    latent = {"kv_lora_rank": 16, "q_lora_rank": 16, "n_routed_experts": 4, "n_group": 1}
    latent |= {"topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    config: Any = AutoConfig.for_model(
        family, **shape, **own, **(latent if family == "deepseek_v3" else {})
    )
    model = _Model.from_config(config)
    cache: Any = DynamicCache()
    with torch.no_grad():
        model(torch.ones(1, 2 * BLOCK, dtype=torch.long), past_key_values=cache)
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    size = cache_size(config.to_dict(), 4)
    assert size is not None
    assert size.row(2 * BLOCK) == kept


SIZES = st.builds(
    CacheSize,
    st.integers(0, 1 << 20),
    st.lists(st.tuples(st.integers(1, 1 << 14), st.integers(0, 1 << 16)), max_size=2).map(tuple),
    st.integers(0, 1 << 24),
)


@given(SIZES, st.integers(0, 1 << 36))
def test_the_longest_response_fits_and_a_longer_one_does_not(size: CacheSize, room: int) -> None:
    longest = size.longest(room)
    if longest:
        assert size.row(longest) <= room
    if longest < 1 << 30:
        assert size.row(longest + 1) > room


@given(SIZES, st.integers(1, 8), st.integers(1, 1 << 17))
def test_devices_that_share_layers_hold_the_whole_together(
    size: CacheSize, parts: int, tokens: int
) -> None:
    assert parts * size.shared(parts).row(tokens) >= size.row(tokens)
