"""Attention of one new token per sequence over pages, by torch's flash attention.

``torch.nn.attention.varlen.varlen_attn`` (pytorch.org, torch 2.13) reads keys and values through a
block table. Elsewhere, as on a CPU, pages are gathered into one rectangle and read as any other.
"""

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

varlen_attn: Any = None
try:
    from torch.nn.attention import varlen
except ImportError:  # torch before 2.10
    pass
else:
    varlen_attn = varlen.varlen_attn

_NEEDED = {"block_table", "seqused_k", "num_splits", "enable_gqa", "window_size"}


class CannotPageError(RuntimeError):
    """A layer attends in a way that attention over pages does not know."""


@dataclass(frozen=True)
class Pages:
    """What a decode pass reads.

    ``table`` (int32, ``[batch, most]``) holds the pages of each sequence, ``lengths`` (int32,
    ``[batch]``) its tokens, the new one included; ``longest`` is the most of them, on the host.
    """

    table: Tensor
    lengths: Tensor
    longest: int

    @cached_property
    def queries(self) -> Tensor:
        """Where the query of each sequence begins: 0, 1, …, n."""
        count = len(self.lengths)
        return torch.arange(count + 1, dtype=torch.int32, device=self.lengths.device)

    @cached_property
    def starts(self) -> Tensor:
        """Where the keys of each sequence would begin, if they lay one after the other."""
        return pad(self.lengths.cumsum(0, dtype=torch.int32), (1, 0))

    def on(self, device: torch.device) -> "Pages":
        """The same on another device."""
        if self.table.device == device:
            return self
        return Pages(self.table.to(device), self.lengths.to(device), self.longest)


def why_no_kernel(device: torch.device, dtype: torch.dtype) -> str:
    """Why torch cannot attend over pages there; empty where it can."""
    if device.type != "cuda":
        return f"on {device.type} attention reads one block of memory faster than pages"
    if varlen_attn is None or not _NEEDED.issubset(inspect.signature(varlen_attn).parameters):
        return f"torch {torch.__version__} has no attention over pages"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "the GPU is too old for flash attention"
    if dtype not in (torch.float16, torch.bfloat16):
        return "flash attention takes half precision only"
    return ""


def attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    pages: Pages,
    *,
    scaling: float | None,
    window: int | None,
) -> Tensor:
    """Attention of each sequence's newest token.

    Args:
        query: ``[batch, heads, head_dim]``.
        keys: ``[pages, PAGE, kv_heads, head_dim]``.
        values: like ``keys``.
        pages: which of them each sequence reads.
        scaling: what scores are multiplied by; by default 1/√head_dim.
        window: how many tokens back a token may look, itself included.

    Returns:
        ``[batch, heads, head_dim]``.
    """
    pages = pages.on(query.device)
    output: Tensor = varlen_attn(
        query,
        keys,
        values,
        pages.queries,
        pages.starts,
        1,
        pages.longest,
        scale=scaling,
        window_size=(-1, -1) if window is None else (window - 1, 0),
        enable_gqa=True,
        seqused_k=pages.lengths,
        block_table=pages.table,
        # More splits over pages leave rows unwritten (github.com/pytorch/pytorch/issues/194167).
        num_splits=1,
    )
    return output


def gathered(stored: Tensor, pages: Pages) -> Tensor:
    """The pages of each sequence in one rectangle, ``[batch, kv_heads, length, head_dim]``."""
    table = pages.on(stored.device).table
    found = stored[table.long()]
    return found.flatten(1, 2)[:, : -(-pages.longest // 8) * 8].transpose(1, 2)
