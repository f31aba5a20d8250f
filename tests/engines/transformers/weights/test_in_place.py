"""One sweep writes the interpolation, rounded once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.engines.transformers.weights.in_place import interpolate_into
from mi_tui.engines.transformers.weights.interpolate import mix


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    lambda_=st.floats(0, 1).map(lambda x: round(x, 6)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
    size=st.integers(1, 5000),
)
def test_within_one_rounding_step_of_the_file_merger(
    seed: int, lambda_: float, dtype: torch.dtype, size: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    instruct = torch.randn(size, generator=generator).to(dtype)
    thinking = (instruct.float() + 0.1 * torch.randn(size, generator=generator)).to(dtype)
    out = torch.empty_like(instruct)
    interpolate_into(out, instruct, thinking, lambda_)
    exact = instruct.double() + lambda_ * (thinking.double() - instruct.double())
    largest = torch.maximum(instruct.abs(), thinking.abs()).double()
    step = torch.finfo(dtype).eps
    assert ((out.double() - exact).abs() <= 0.501 * step * largest + 1e-7 * largest).all()
    other = mix(instruct, thinking, lambda_)
    assert ((out.double() - other.double()).abs() <= 1.01 * step * largest).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_ends_are_the_sources(dtype: torch.dtype) -> None:
    instruct, thinking = torch.randn(2, 1000).to(dtype).unbind(0)
    out = torch.empty_like(instruct)
    interpolate_into(out, instruct, thinking, 1.0)
    assert torch.equal(out, thinking)
    interpolate_into(out, instruct, thinking, 0.0)
    assert torch.equal(out, instruct)
