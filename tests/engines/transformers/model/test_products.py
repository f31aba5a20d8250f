"""Products are those of torch's linear, whichever library computes them."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import linear

from mi_tui.engines.transformers.model.products import product


@settings(max_examples=40, deadline=None)
@given(
    sequences=st.integers(1, 80),
    tokens=st.integers(1, 5),
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    biased=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_any_shape_gives_what_linear_gives(
    sequences: int, tokens: int, sizes: tuple[int, int], biased: bool, dtype: torch.dtype
) -> None:
    x = torch.randn(sequences, tokens, sizes[1]).to(dtype)
    weight = torch.randn(sizes).to(dtype)
    bias = torch.randn(sizes[0]).to(dtype) if biased else None
    torch.testing.assert_close(product(x, weight, bias), linear(x, weight, bias))


@torch.inference_mode()
def test_changed_weights_count_at_once() -> None:
    x, weight = torch.randn(64, 1, 32), torch.randn(16, 32)
    before = product(x, weight, None)
    weight.mul_(2)
    torch.testing.assert_close(product(x, weight, None), 2 * before)
