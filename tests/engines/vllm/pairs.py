"""Tiny random pairs of a shape that vLLM's CPU kernels take: heads of 32."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

_SHAPE: dict[str, Any] = {
    "vocab_size": 112,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "qwen2": (Qwen2Config, {"tie_word_embeddings": True}),
    "llama": (LlamaConfig, {"attention_bias": True, "mlp_bias": True}),
    "gemma2": (Gemma2Config, {"head_dim": 32, "query_pre_attn_scalar": 32}),
    "gemma3": (Gemma3TextConfig, {"head_dim": 32, "query_pre_attn_scalar": 32}),
    "phi3": (Phi3Config, {}),
    "qwen3": (Qwen3Config, {"head_dim": 32}),
    "qwen3_moe": (
        Qwen3MoeConfig,
        {"head_dim": 32, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
    ),
}
"""Biases and a tied head; biases in the FFN; ``1 + w`` norms and caps; stacked files; experts."""


def tiny_vllm_pair(family: str, folder: Path, tokenizer: Any) -> tuple[Path, Path]:
    """Write an Instruct and a Thinking checkpoint that differ in every tensor.

    Args:
        family: a key of ``_OWN``.
        folder: receives ``instruct`` and ``thinking``.
        tokenizer: saved beside both.
    """
    config, own = _OWN[family]
    model_class: Any = AutoModelForCausalLM
    torch.manual_seed(0)
    model = model_class.from_config(config(**_SHAPE, **own)).float().eval()
    sides = []
    for side in ("instruct", "thinking"):
        with torch.no_grad():
            for parameter in model.parameters():
                # Biases and (1 + w) norms start at zero: give them a spread of their own.
                spread = parameter.abs().mean().clamp(min=0.1)
                parameter += 0.3 * spread * torch.randn_like(parameter)
        path = folder / side
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        sides.append(path)
    return sides[0], sides[1]
