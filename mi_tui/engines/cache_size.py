"""The size of a KV cache: the bytes that a response of so many tokens takes, told from a config.

The one account of it, for the plan of memory and for every engine: pure arithmetic on
``config.json``, before any weights are there. What a config does not say is taken as full
attention, which takes the most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

BLOCK = 16
"""Tokens of a block; a response takes whole blocks (docs.vllm.ai, ``block_size``)."""

_STATE_BYTES = 4
"""States of recurrent layers are kept in float32."""

_MOST_READ = 8192
"""Tokens of a prompt that vLLM reads at once, which lie in a sliding window's cache as well
(``max_num_batched_tokens``)."""

_LONGEST = 1 << 30
_UNKNOWN_STATE = 128
"""Numbers of state for each hidden unit where a config tells no sizes."""

_WINDOWED_THROUGHOUT = ("mistral", "mixtral", "starcoder2", "phi3")
"""Families whose window holds for every layer, where no list of layers says otherwise."""

_Kind = Literal["full", "window", "state", "both", "none"]


@dataclass(frozen=True, slots=True)
class CacheSize:
    """The cache of one response on one device, in bytes.

    ``growing``: for each token, in layers that see all tokens. ``windows``: for each token up to
    the given length, in layers that forget older ones. ``fixed``: however long it is.
    """

    growing: int
    windows: tuple[tuple[int, int], ...] = ()
    fixed: int = 0

    def row(self, tokens: int) -> int:
        """The bytes of one sequence of so many tokens, prompt and response together."""
        whole = -(-max(tokens, 1) // BLOCK) * BLOCK
        kept = sum(min(whole, length) * each for length, each in self.windows)
        return self.growing * whole + kept + self.fixed

    def shared(self, parts: int) -> "CacheSize":
        """The cache of one of so many devices that share out the layers."""
        windows = tuple((length, -(-each // parts)) for length, each in self.windows)
        return CacheSize(-(-self.growing // parts), windows, -(-self.fixed // parts))

    def longest(self, room: int) -> int:
        """The most tokens of a sequence whose cache takes ``room`` bytes at most; 0: none."""
        if self.row(1) > room:
            return 0
        least, most = 1, _LONGEST
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if self.row(middle) <= room else (least, middle - 1)
        return least


def cache_size(
    config: Mapping[str, Any],
    item: float,
    *,
    ranks: int = 1,
    forgets: bool = False,
) -> CacheSize | None:
    """The cache of one sequence on each device.

    Args:
        config: of the language model (``text_config`` where there is one).
        item: bytes of one number in the cache: 2 for bfloat16, 1 for fp8.
        ranks: how many devices share the heads; each keeps one at least.
        forgets: whether layers with a window give older tokens back, as vLLM's do.

    Returns:
        ``None`` where the config does not say how many layers there are.
    """
    kinds = _kinds(config)
    if kinds is None:
        return None
    shared = _whole(config, "num_kv_shared_layers")
    growing, fixed = 0, 0
    windows: dict[int, int] = {}
    for at, kind in enumerate(kinds):
        if kind in ("state", "both"):
            fixed += _state_bytes(config, item, ranks)
        if kind in ("none", "state") or at >= len(kinds) - shared:
            continue
        each = int(item * _numbers(config, kind, ranks))
        if kind == "window" and forgets:
            length = _window(config) + _MOST_READ
            windows[length] = windows.get(length, 0) + each
        else:
            growing += each
    return CacheSize(growing, tuple(sorted(windows.items())), fixed)


def _kinds(config: Mapping[str, Any]) -> list[_Kind] | None:
    """What each layer keeps."""
    pattern = config.get("hybrid_override_pattern")
    listed = config.get("layer_types") or config.get("layers_block_type")
    if isinstance(listed, list):
        kinds = [_kind_named(str(name)) for name in listed]
        both = config.get("hybrid_layer_ids")
        if isinstance(both, list):
            kinds = ["both" if at in both else kind for at, kind in enumerate(kinds)]
        return kinds
    if isinstance(pattern, str):  # Nemotron-H: Mamba, attention, MLP, experts
        marks: dict[str, _Kind] = {"M": "state", "*": "full"}
        return [marks.get(mark, "none") for mark in pattern if mark not in "|,"]
    layers = _whole(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    return [_kind_at(config, at) for at in range(layers)] if layers else None


def _kind_named(name: str) -> _Kind:
    if name == "hybrid":
        return "both"
    if name in ("moe", "mlp", "ffn", "none"):
        return "none"
    if any(word in name for word in ("sliding", "chunk", "local")):
        return "window"
    if any(word in name for word in ("linear", "mamba", "conv", "recurrent", "ssm", "delta")):
        return "state"
    return "full"


def _kind_at(config: Mapping[str, Any], at: int) -> _Kind:
    """The kind of a layer where no list names it."""
    attention = _attention_layers(config)
    if attention is not None:
        return "full" if at in attention else "state"
    period, interval = (
        _whole(config, "attn_layer_period"),
        _whole(config, "full_attention_interval"),
    )
    if period:  # Jamba
        return "full" if at % period == _whole(config, "attn_layer_offset") else "state"
    if interval:  # Qwen3-Next
        return "full" if (at + 1) % interval == 0 else "state"
    if "mamba_d_ssm" in config:  # Falcon-H1: both in every layer
        return "both"
    if not _heads(config):
        return "state"
    return "window" if _window(config) and _is_windowed(config, at) else "full"


def _attention_layers(config: Mapping[str, Any]) -> list[int] | None:
    """The layers with attention, where a config lists them: others keep a state."""
    for key in ("attn_layer_indices", "full_attn_idxs"):
        if isinstance(found := config.get(key), list):
            return found
    if isinstance(kinds := config.get("attn_type_list"), list):  # MiniMax
        return [at for at, kind in enumerate(kinds) if kind == 1]
    linear = config.get("linear_attn_config")
    if isinstance(linear, Mapping) and isinstance(found := linear.get("full_attn_layers"), list):
        return [at - 1 for at in found]  # Kimi counts from 1
    return None


def _is_windowed(config: Mapping[str, Any], at: int) -> bool:
    pattern = _whole(config, "sliding_window_pattern")
    if pattern:
        return bool((at + 1) % pattern)
    if config.get("use_sliding_window") is not None:  # Qwen
        return bool(config["use_sliding_window"]) and at >= _whole(config, "max_window_layers")
    return config.get("model_type") in _WINDOWED_THROUGHOUT


def _window(config: Mapping[str, Any]) -> int:
    return _whole(config, "sliding_window", "attention_chunk_size")


def _numbers(config: Mapping[str, Any], kind: _Kind, ranks: int) -> int:
    """The numbers that one layer keeps of a token on each device, keys and values together."""
    heads = _heads(config)
    if latent := _whole(config, "kv_lora_rank"):
        # MLA: both engines keep it compressed, and each device keeps all of it.
        return latent + _whole(config, "qk_rope_head_dim") + _whole(config, "index_head_dim")
    groups = _whole(config, "num_key_value_heads", "num_kv_heads") or heads
    dim = _whole(config, "head_dim", "attention_head_dim")
    dim = dim or _whole(config, "hidden_size", "n_embd", "d_model") // max(heads, 1)
    if kind == "full":  # Gemma 4
        groups = _whole(config, "num_global_key_value_heads") or groups
        dim = _whole(config, "global_head_dim") or dim
    return 2 * -(-groups // ranks) * dim


def _state_bytes(config: Mapping[str, Any], item: float, ranks: int) -> int:
    """The state of one layer and what its convolution keeps, in bytes on each device."""
    hidden = _whole(config, "hidden_size", "d_model")
    inner = _whole(config, "mamba_expand", "expand") * hidden
    if values := _whole(config, "linear_num_value_heads"):  # gated delta net
        keys = _whole(config, "linear_num_key_heads") * _whole(config, "linear_key_head_dim")
        wide = values * _whole(config, "linear_value_head_dim")
        state, channels = wide * _whole(config, "linear_key_head_dim"), 2 * keys + wide
        kernel = _whole(config, "linear_conv_kernel_dim")
    elif kernel := _whole(config, "conv_L_cache"):  # LFM2: a short convolution alone
        state, channels = 0, hidden
    elif depth := _whole(config, "mamba_d_state", "ssm_state_size", "state_size"):
        heads = _whole(config, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
        wide = heads * _whole(config, "mamba_d_head", "mamba_head_dim", "mamba_headdim")
        wide = max(wide, _whole(config, "mamba_d_ssm", "intermediate_size") if not heads else 0)
        wide = wide or inner
        groups = _whole(config, "mamba_n_groups", "n_groups", "mamba_ngroups") or 1
        state, channels = wide * depth, wide + 2 * groups * depth
        kernel = _whole(config, "mamba_d_conv", "conv_kernel") or 4
    else:
        state, channels, kernel = hidden * _UNKNOWN_STATE, hidden, 4
    return int(_STATE_BYTES * state + item * channels * kernel) // ranks


def _heads(config: Mapping[str, Any]) -> int:
    return _whole(config, "num_attention_heads", "n_head", "n_heads")


def _whole(config: Mapping[str, Any], *names: str) -> int:
    """The first of these settings that is a number; 0 where none is."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0
