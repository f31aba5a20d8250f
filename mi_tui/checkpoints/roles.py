"""Roles of tensors, told from their names: layer and module kind.

Names are compared part by part between the dots, never by substring, so that layer 1 is not
layer 10 and an FFN's ``gate_proj`` is not a router's ``gate``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from mi_tui.plan.scope import ModuleKind

_STACKS = frozenset({"layers", "layer", "h", "blocks", "block"})
_TOWERS = frozenset(
    {
        "vision_tower", "vision_model", "visual", "vision", "vision_embedder", "embed_vision",
        "audio_tower", "audio_model", "embed_audio", "multi_modal_projector", "mm_projector",
        "aligner", "audio_projector", "image_newline",
    }
)  # fmt: skip
_MIXERS = frozenset(
    {
        "mamba", "mamba_decoder", "linear_attn", "conv", "short_conv", "temporal_block", "kda",
        "mixer", "A_log", "dt_bias", "conv1d", "q_conv1d", "k_conv1d", "v_conv1d",
    }
)  # fmt: skip
"""Token mixers other than attention, and tensors that only they have."""

_PREDICTION = re.compile(r"mtp(_\w+)?|nextn_predict_layers")
"""Parts of names in layers that predict further tokens: no layers of the decoder."""

_EXPERT_BIASES = frozenset({"e_score_correction_bias", "expert_bias", "moe_statics"})
_ROUTERS = frozenset({"gate", "router", "shared_expert_gate"})
_NORM = re.compile(r"\w*norms?\d*|ln_?\w*")
_EMBEDDINGS = frozenset(
    {
        "embed_tokens", "embed_positions", "embed_in", "embeddings", "word_embeddings", "wte",
        "wpe", "tok_embeddings", "embed_tokens_per_layer", "position_embeddings",
    }
)  # fmt: skip
_HEADS = frozenset({"lm_head", "embed_out", "score"})
_ATTENTION = frozenset(
    {
        "self_attn", "attn", "attention", "self_attention", "cross_attn",
        "q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj",
    }
)  # fmt: skip
_FFN = frozenset(
    {
        "mlp", "ffn", "feed_forward", "block_sparse_moe", "moe", "experts", "shared_expert",
        "shared_experts", "fc1", "fc2", "gate_proj", "up_proj", "down_proj", "gate_up_proj",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorRole:
    """Where a tensor or module belongs.

    ``layer`` counts from 0 and is ``None`` outside the decoder's layers (those of a vision
    tower, or that predict further tokens, are outside). ``recognised`` is false when no rule
    knows the name and the kind is the default, FFN.
    """

    layer: int | None
    kind: ModuleKind
    recognised: bool = True


@lru_cache(maxsize=1 << 18)
def role_of(tensor_name: str) -> TensorRole:
    """The role of a tensor such as ``model.layers.12.self_attn.q_proj.weight``."""
    parts = tensor_name.split(".")
    layer = _layer(parts)
    kind = _kind(parts, layer)
    return TensorRole(layer, kind or ModuleKind.FFN, kind is not None)


def role_of_module(module_name: str) -> TensorRole:
    """The role of a module path such as ``model.layers.12.self_attn.q_proj``."""
    return role_of(module_name)


def names_prediction(parts: Iterable[str]) -> bool:
    """Whether the parts of a name, between its dots, are those of a layer of its own that predicts
    further tokens: ``mtp.layers.0.…``, ``model.mtp_block.0.…``.
    """
    return any(_PREDICTION.fullmatch(part) for part in parts)


_TOKEN_EMBEDDINGS = (
    "embed_tokens.weight", "word_embeddings.weight", "tok_embeddings.weight", "embeddings.weight",
    "embed_in.weight", "wte.weight",
)  # fmt: skip
_OUTPUTS = ("lm_head.weight", "embed_out.weight", "output.weight")


def embedding_name(names: Iterable[str]) -> str | None:
    """The token embedding among a checkpoint's tensors, with or without a wrapper around it."""
    return _outermost(names, _TOKEN_EMBEDDINGS, ModuleKind.EMBEDDINGS)


def head_name(names: Iterable[str]) -> str | None:
    """The head that gives the logits, where a checkpoint stores one."""
    return _outermost(names, _OUTPUTS, ModuleKind.HEAD)


def _outermost(names: Iterable[str], endings: tuple[str, ...], kind: ModuleKind) -> str | None:
    """The name with the fewest parts of those that end so, outside layers and towers."""
    found = [
        name
        for name in names
        if name.endswith(endings)
        and (role := role_of(name)).kind is kind
        and role.layer is None
        and not names_prediction(name.split("."))
    ]
    return min(found, key=lambda name: (name.count("."), name), default=None)


def _layer(parts: list[str]) -> int | None:
    if not _TOWERS.isdisjoint(parts) or names_prediction(parts):
        return None
    for stack, number in pairwise(parts):
        if stack in _STACKS and number.isascii() and number.isdigit() and len(number) < 6:
            return int(number)
    return None


def _kind(parts: list[str], layer: int | None) -> ModuleKind | None:
    owners = [p for p in parts if p not in ("weight", "bias")]
    if not owners:
        return None
    if not _TOWERS.isdisjoint(owners):
        return ModuleKind.VISION
    # The innermost part decides what is small: a norm inside attention is a norm.
    if _NORM.fullmatch(owners[-1]):
        return ModuleKind.NORMS
    if not (_ROUTERS.isdisjoint(owners) and _EXPERT_BIASES.isdisjoint(owners)):
        return ModuleKind.ROUTER
    if not _EMBEDDINGS.isdisjoint(owners):
        return ModuleKind.EMBEDDINGS
    if not _HEADS.isdisjoint(owners) or (layer is None and owners[-1] == "output"):
        return ModuleKind.HEAD
    if "mixer" in owners:
        # Nemotron-H gives attention and FFN this name too.
        return _kind_below(owners, owners.index("mixer")) or ModuleKind.MIXER
    if not _MIXERS.isdisjoint(owners):
        return ModuleKind.MIXER
    return _kind_below(owners, -1)


def _kind_below(owners: list[str], at: int) -> ModuleKind | None:
    below = owners[at + 1 :]
    if not _ATTENTION.isdisjoint(below):
        return ModuleKind.ATTENTION
    if not _FFN.isdisjoint(below):
        return ModuleKind.FFN
    return None
