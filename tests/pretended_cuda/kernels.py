"""What kernels that only CUDA has compute, in plain operations, by their documentation."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def varlen(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    query_starts: Tensor,
    key_starts: Tensor,
    most_queries: int,
    most_keys: int,
    causal: bool,
    scale: float | None,
    window: list[int],
    grouped: bool,
    used: Tensor,
    table: Tensor,
    splits: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """``varlen_attn`` of one query per sequence over pages of 256 tokens."""
    count, heads, dim = query.shape
    assert query.dtype in (torch.float16, torch.bfloat16)
    assert keys.shape == values.shape
    assert (keys.shape[1] % 256, dim % 8, heads % keys.shape[2]) == (0, 0, 0)
    assert {t.dtype for t in (query_starts, key_starts, used, table)} == {torch.int32}
    assert query_starts.tolist() == list(range(count + 1))
    assert key_starts[1:].tolist() == used.cumsum(0).tolist()
    assert (most_queries, splits, grouped, causal) == (1, 1, True, False)
    assert most_keys == int(used.max()) <= table.shape[1] * keys.shape[1]
    found = torch.empty_like(query)
    for row, length in enumerate(used.tolist()):
        first = 0 if window[0] < 0 else max(0, length - 1 - window[0])
        own = [stored[table[row].long()].flatten(0, 1)[first:length] for stored in (keys, values)]
        key, value = (stored.transpose(0, 1)[None] for stored in own)
        found[row] = scaled_dot_product_attention(
            query[row][None, :, None], key, value, scale=scale, enable_gqa=True
        )[0, :, 0]
    return found, torch.empty(heads, count), torch.zeros(2)
