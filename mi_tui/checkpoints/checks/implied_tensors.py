"""The tensors that a config.json implies in families of the plainest kind, by rule.

transformers knows this of every family and is asked by the check; a merge does not load it. Here
are the families that most pairs are of (``transformers.models``: llama, mistral, qwen2, qwen3 and
their mixtures of experts, of which the experts are not looked at).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mi_tui.checkpoints.inspect import CheckpointInfo

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Family:
    """What sets a family's layers apart from the others'.

    ``head_dim`` is what is taken where the config names none: 0 is the width by the heads.
    ``biases`` are those of attention that are always there; ``bias_key`` is the setting that
    gives all four products of attention one. ``dense`` families have gate, up and down.
    """

    head_dim: int = 0
    biases: str = ""
    bias_key: str = ""
    mlp_bias_key: str = ""
    head_norms: bool = False
    dense: bool = True


_FAMILIES: Mapping[str, _Family] = {
    "llama": _Family(bias_key="attention_bias", mlp_bias_key="mlp_bias"),
    "mistral": _Family(),
    "mixtral": _Family(dense=False),
    "qwen2": _Family(biases="qkv"),
    "qwen3": _Family(head_dim=128, bias_key="attention_bias", head_norms=True),
    "qwen3_moe": _Family(bias_key="attention_bias", head_norms=True, dense=False),
}

_UNTIED = _FAMILIES.keys() | {
    "arcee", "deepseek_v2", "deepseek_v3", "exaone4", "glm4", "glm4_moe", "gpt_oss", "granite",
    "ministral", "ministral3", "olmo2", "olmo3", "phi", "phi3", "phimoe", "qwen2_moe",
    "qwen3_next", "seed_oss",
}  # fmt: skip
"""Families whose head is untied where the config does not say (their ``Config`` classes)."""


def is_untied_by_default(config: Mapping[str, Any]) -> bool:
    """Whether a config that says nothing of it means a head of its own."""
    return config.get("model_type") in _UNTIED


def contradictions(info: CheckpointInfo) -> Iterator[str]:
    """What the decoder's layers have otherwise than config.json implies, one line each.

    Nothing is said of families that are not known here.
    """
    implied = _implied(info)
    if not implied:
        return
    missing = [name for name in implied if name not in info.tensors]
    if missing:
        yield f"config.json implies {listed(missing)}, not stored: they would be random"
    layers = tuple(f"model.layers.{n}." for n in range(info.text_config["num_hidden_layers"]))
    known = implied.keys()
    unexpected = [
        name
        for name in info.tensors
        if name.startswith(layers) and name not in known and not _is_not_looked_at(info, name)
    ]
    if unexpected:
        yield f"{listed(unexpected)} stored, which config.json has no place for"
    for name, shape in implied.items():
        stored = info.tensors.get(name)
        if stored is not None and stored.shape != shape:
            yield (
                f"config.json implies {list(shape)} for {name}, and {list(stored.shape)} is "
                "stored: take the config.json that belongs to the weights"
            )
            return


def listed(names: list[str]) -> str:
    """The first two names, and how many more there are."""
    few = ", ".join(names[:2])
    return few if len(names) <= 2 else f"{few} and {len(names) - 2} more tensors"


def _is_not_looked_at(info: CheckpointInfo, name: str) -> bool:
    part = name.split(".")[3]
    sparse = not _FAMILIES[info.model_type].dense and part in ("mlp", "block_sparse_moe")
    return sparse or name.endswith(".rotary_emb.inv_freq")


def _implied(info: CheckpointInfo) -> dict[str, Shape]:
    """The names and shapes of all layers' tensors; empty where they are not known here."""
    family = _FAMILIES.get(info.model_type)
    layers: Any = info.text_config.get("num_hidden_layers")
    looks_like_it = "model.layers.0.self_attn.q_proj.weight" in info.tensors
    if family is None or info.needs_remote_code or not looks_like_it or not _is_size(layers):
        return {}
    parts = _of_a_layer(family, info.text_config)
    return {f"model.layers.{n}.{name}": shape for n in range(layers) for name, shape in parts}


def _of_a_layer(family: _Family, config: Mapping[str, Any]) -> list[tuple[str, Shape]]:
    """The names in a layer with their shapes; none where the config leaves a size out."""
    keys = ("hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    if not all(_is_size(config.get(key)) for key in keys):
        return []
    width, heads, kv_heads, ffn = (int(config[key]) for key in keys)
    dim = int(config.get("head_dim") or family.head_dim or width // heads)
    rows = {"q": heads * dim, "k": kv_heads * dim, "v": kv_heads * dim, "o": width}
    biased = "qkvo" if family.bias_key and config.get(family.bias_key) else family.biases
    found: list[tuple[str, Shape]] = [
        ("input_layernorm.weight", (width,)),
        ("post_attention_layernorm.weight", (width,)),
    ]
    for letter, count in rows.items():
        columns = heads * dim if letter == "o" else width
        found.append((f"self_attn.{letter}_proj.weight", (count, columns)))
        if letter in biased:
            found.append((f"self_attn.{letter}_proj.bias", (count,)))
    if family.head_norms:
        found += [(f"self_attn.{letter}_norm.weight", (dim,)) for letter in "qk"]
    if family.dense:
        found += _of_the_ffn(width, ffn, biased=bool(config.get(family.mlp_bias_key)))
    return found


def _of_the_ffn(width: int, ffn: int, *, biased: bool) -> Iterator[tuple[str, Shape]]:
    for name, shape in (("gate", (ffn, width)), ("up", (ffn, width)), ("down", (width, ffn))):
        yield f"mlp.{name}_proj.weight", shape
        if biased:
            yield f"mlp.{name}_proj.bias", shape[:1]


def _is_size(value: object) -> bool:
    return type(value) is int and value > 0
