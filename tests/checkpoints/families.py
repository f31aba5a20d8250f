"""Tiny random checkpoint pairs of every supported family, for tests of all parts."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GenerationConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3MoeConfig,
)

VOCABULARY = 96
"""Rows of the embedding; the tokenizer knows fewer words, as with a padded vocabulary."""

_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}

# Loosely typed on purpose: the library's own annotations do not know all of their arguments.
_Model: Any = AutoModelForCausalLM
_MoeConfig: Any = Qwen3MoeConfig
_Generation: Any = GenerationConfig
_Tokenizer: Any = PreTrainedTokenizerFast
_Qwen2Tokenizer: Any = Qwen2Tokenizer

FAMILIES: dict[str, Callable[..., PreTrainedConfig]] = {
    "qwen2": Qwen2Config,
    "qwen3": lambda **kw: Qwen3Config(head_dim=8, **kw),
    "llama": lambda **kw: LlamaConfig(attention_bias=True, mlp_bias=True, **kw),
    "mistral": lambda **kw: MistralConfig(head_dim=8, **kw),
    "gemma2": lambda **kw: Gemma2Config(head_dim=8, query_pre_attn_scalar=8, **kw),
    "gemma3": lambda **kw: Gemma3TextConfig(head_dim=8, query_pre_attn_scalar=8, **kw),
    "phi": lambda **kw: PhiConfig(qk_layernorm=True, **kw),
    "phi3": Phi3Config,
    "qwen3_moe": lambda **kw: _MoeConfig(
        head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, **kw
    ),
    "mixtral": lambda **kw: MixtralConfig(num_local_experts=4, num_experts_per_tok=2, **kw),
}
"""Family name to config factory; every model is about 40 thousand parameters."""

DENSE = tuple(name for name in FAMILIES if name not in ("qwen3_moe", "mixtral"))
TIED_ONLY = ("gemma2", "gemma3")
"""Families whose published checkpoints tie the head to the embeddings."""

_TAGS = ["<pad>", "<s>", "</s>", "<think>", "</think>", "<|user|>", "<|assistant|>"]
_WORDS = [*_TAGS, "one", "two", "three", "four", "five"]
_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
_TURNS = "{% for m in messages %}<|user|> {{ m['content'] }} {% endfor %}"
_PROMPTS = {
    "instruct": "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "thinking": "{% if add_generation_prompt %}<|assistant|> <think>{% endif %}",
}


def tiny_pair(
    family: str,
    folder: Path,
    *,
    shards: int | tuple[int, int] = 1,
    dtype: torch.dtype = torch.float32,
    tie: bool | None = None,
    base: bool = False,
    distance: float = 0.3,
    seed: int = 0,
) -> tuple[Path, ...]:
    """Write a tiny random Instruct and Thinking checkpoint that belong together.

    Args:
        family: a key of ``FAMILIES``.
        folder: receives ``instruct``, ``thinking`` and, when asked, ``base``.
        shards: about how many files each checkpoint has; two numbers for the two sides.
        dtype: dtype of every weight.
        tie: whether head and embeddings are tied; ``None`` is what the family usually does.
        base: also write the base checkpoint that both sides start from.
        distance: size of each side's random change relative to the weights' own spread.
        seed: decides all weights.

    Returns:
        The folders ``(instruct, thinking)``, or ``(instruct, thinking, base)``. Each holds
        weights, config, generation config and a tokenizer with a chat template (words such
        as ``one two three``); the Thinking side's template opens ``<think>``.
    """
    tied = family in TIED_ONLY if tie is None else tie
    config = FAMILIES[family](tie_word_embeddings=tied, **_SHAPE)
    torch.manual_seed(seed)
    model = _Model.from_config(config).eval()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    counts = (shards, shards) if isinstance(shards, int) else shards
    sides = [("instruct", counts[0]), ("thinking", counts[1])] + [("base", 1)] * base
    written = []
    for index, (side, count) in enumerate(sides):
        _perturb(model, start, 0.0 if side == "base" else distance, seed * 10 + index + 1)
        path = folder / side
        _write(model, path, count, dtype)
        _tokenizer(family, side).save_pretrained(path)
        temperature = 0.6 if side == "thinking" else 0.7
        _Generation(
            do_sample=True, temperature=temperature, eos_token_id=2, pad_token_id=0
        ).save_pretrained(path)
        written.append(path)
    return tuple(written)


def _perturb(model: Any, start: dict[str, torch.Tensor], distance: float, seed: int) -> None:
    """Set the weights to ``start`` plus noise in proportion to each tensor's own size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            origin = start[name]
            noise = torch.randn(origin.shape, generator=generator)
            # Biases and (1 + w) norms start at zero: give them a spread of their own.
            spread = origin.abs().mean().clamp(min=0.1)
            parameter.copy_(origin + distance * spread * noise)


def _write(model: Any, path: Path, shards: int, dtype: torch.dtype) -> None:
    size = sum(p.numel() for p in model.parameters()) * dtype.itemsize
    copy = _Model.from_config(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(dtype).save_pretrained(path, max_shard_size=size if shards == 1 else size // shards)


def _tokenizer(family: str, side: str) -> Any:
    tokenizer = _qwen2_tokenizer() if family == "qwen2" else _word_tokenizer()
    tokenizer.chat_template = _TURNS + _PROMPTS["thinking" if side == "thinking" else "instruct"]
    return tokenizer


def _word_tokenizer() -> Any:
    words = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(_WORDS)}, unk_token="<pad>")
    )
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _Tokenizer(tokenizer_object=words, padding_side="left", **_SPECIAL)


def _qwen2_tokenizer() -> Any:
    """Letters and digits as tokens: transformers loads Qwen2 with its own byte-level class."""
    texts = [*_TAGS, *string.ascii_lowercase, *string.digits, "Ġ", "Ċ"]
    vocabulary = {text: i for i, text in enumerate(texts)}
    tokenizer = _Qwen2Tokenizer(vocab=vocabulary, merges=[], padding_side="left", **_SPECIAL)
    tokenizer.add_tokens(_TAGS)
    return tokenizer
