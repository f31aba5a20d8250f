"""Long rope with frequencies that a request's own length decides, not its neighbours'.

transformers takes the long frequencies for a whole batch as soon as one sequence in it is longer
than the original context, from that token on. Here each sequence has those of the length that it
may reach, prompt and cap together, from its first token: as vLLM does it for a server's limit.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from mi_tui.engines.transformers.model.attention import attended_slots


class FixedRope(nn.Module):
    """A rotary embedding with short and long frequencies, chosen for each sequence."""

    def __init__(self, plain: Any) -> None:
        super().__init__()
        self._plain = plain
        self._limit = int(plain.config.rope_parameters["original_max_position_embeddings"])

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines ``[batch, tokens, dim]`` for positions ``[batch, tokens]``."""
        slots = attended_slots()
        if slots is None:
            plain: tuple[Tensor, Tensor] = self._plain(x, position_ids)
            return plain
        is_long = torch.from_numpy(slots.ends > self._limit).to(x.device)[:, None, None]
        long, _ = ROPE_INIT_FUNCTIONS["longrope"](
            self._plain.config, x.device, seq_len=self._limit + 1
        )
        both = [self._with(inv_freq, x, position_ids) for inv_freq in (self._short, long)]
        cos, sin = (
            torch.where(is_long, of_long, of_short) for of_short, of_long in zip(*both, strict=True)
        )
        return cos, sin

    @property
    def _short(self) -> Tensor:
        short: Tensor = self._plain.original_inv_freq
        return short

    def _with(self, inv_freq: Tensor, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        angles = positions[..., None].float() * inv_freq.to(x.device, torch.float)
        angles = torch.cat((angles, angles), -1)
        scaling = float(self._plain.attention_scaling)
        return (angles.cos() * scaling).to(x.dtype), (angles.sin() * scaling).to(x.dtype)


def fix_long_rope(model: Any) -> None:
    """Let each sequence of a model with long rope have the frequencies of its own length."""
    for name, module in list(model.named_modules()):
        if getattr(module, "rope_type", None) == "longrope":
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, FixedRope(module))


def dynamic_limit(config: Any) -> int | None:
    """The tokens beyond which dynamic rope changes its frequencies; ``None`` without such.

    Args:
        config: a config of transformers.
    """
    config = config.get_text_config(decoder=True)
    rope = getattr(config, "rope_parameters", None) or {}
    return int(config.max_position_embeddings) if rope.get("rope_type") == "dynamic" else None
