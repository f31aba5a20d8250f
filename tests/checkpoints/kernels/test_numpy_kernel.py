"""The kernels against float64, against torch's own rounding, and against each other."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_tui.checkpoints.kernels.numpy_kernel import (
    Floats,
    NumpyKernel,
    blend,
    has_nonfinite,
    narrow,
    widen,
)
from mi_tui.checkpoints.kernels.raw_bytes import WIDTH, Bytes, Raw, memory
from mi_tui.engines.transformers.weights.interpolate import mix, mix_into

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
LAMBDAS = st.floats(0.0, 1.0, width=32)


def as_bytes(tensor: torch.Tensor) -> Bytes:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().data


def widened(tensor: torch.Tensor, dtype: str) -> Floats:
    out = np.empty(tensor.numel(), np.float32)
    widen(as_bytes(tensor), dtype, out)
    return out


def narrowed(values: Floats, dtype: str) -> Bytes:
    """The bytes of float32 values rounded to a dtype; the values are used up."""
    out = memory(len(values) * WIDTH[dtype])
    narrow(values, dtype, out, np.empty_like(values))
    return out


def all_halves(dtype: torch.dtype) -> torch.Tensor:
    """Every bit pattern of a 16-bit dtype."""
    return torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
@pytest.mark.parametrize("finite", [True, False])
def test_every_16_bit_number_is_widened_exactly(dtype: str, finite: bool) -> None:
    """Bit for bit, subnormal numbers and signed zeros included, with NaN and Inf and without."""
    values = all_halves(DTYPES[dtype])
    if finite:
        values = values[values.isfinite()]
    ours, expected = widened(values, dtype), values.float().numpy()
    assert np.array_equal(ours, expected, equal_nan=True)
    assert np.array_equal(np.signbit(ours), np.signbit(expected))


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_every_16_bit_number_comes_back(dtype: str) -> None:
    values = all_halves(DTYPES[dtype])
    back = torch.frombuffer(narrowed(widened(values, dtype), dtype), dtype=DTYPES[dtype])
    assert torch.equal(back.isnan(), values.isnan())
    kept = ~values.isnan()
    assert torch.equal(back[kept].view(torch.int16), values[kept].view(torch.int16))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=200), st.sampled_from(["BF16", "F16"])
)
def test_any_float_is_rounded_as_torch_rounds_it(bits: list[int], dtype: str) -> None:
    values = np.array(bits, np.uint32).view(np.float32)
    expected = torch.from_numpy(values.copy()).to(DTYPES[dtype])
    ours = torch.frombuffer(narrowed(values.copy(), dtype), dtype=DTYPES[dtype])
    assert torch.equal(ours.isnan(), expected.isnan())
    kept = ~expected.isnan()
    assert torch.equal(ours[kept].view(torch.int16), expected[kept].view(torch.int16))


def pair(seed: int, dtype: torch.dtype, count: int = 4096) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.exp(4 * torch.randn(count, generator=generator))
    one = torch.randn(count, generator=generator) * scale
    two = one + 0.1 * torch.randn(count, generator=generator) * scale
    limit = torch.finfo(dtype).max / 8
    return one.clamp(-limit, limit).to(dtype), two.clamp(-limit, limit).to(dtype)


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
@settings(deadline=None)
@given(seed=st.integers(0, 99), lambda_=LAMBDAS)
def test_memory_and_files_agree_bit_for_bit(
    source: str, target: str, seed: int, lambda_: float
) -> None:
    one, two = pair(seed, DTYPES[source], 512)
    expected = mix(one, two, lambda_, out_dtype=DTYPES[target])
    if lambda_ in (0.0, 1.0):
        assert torch.equal(expected, (two if lambda_ else one).to(DTYPES[target]))
        return
    out = memory(len(one) * WIDTH[target])
    anchor, term = Raw(source, as_bytes(one)), Raw(source, as_bytes(two))
    NumpyKernel().mix(anchor, [(lambda_, term)], target, out)
    assert out == as_bytes(expected)


@pytest.mark.parametrize("target", DTYPES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), lambda_=LAMBDAS)
def test_float32_is_the_exact_mixture_rounded_once(target: str, seed: int, lambda_: float) -> None:
    """No neighbour of the result lies nearer to the exact mixture, in fractions."""
    dtype = DTYPES[target]
    one, two = pair(seed, torch.float32, 256)
    limit = torch.finfo(dtype).max / 4
    one, two = one.clamp(-limit, limit), two.clamp(-limit, limit)
    weight = Fraction(lambda_)
    exact = [
        Fraction(a) + weight * (Fraction(b) - Fraction(a))
        for a, b in zip(one.tolist(), two.tolist(), strict=True)
    ]
    ours = mix(one, two, lambda_, out_dtype=dtype)
    if lambda_ in (0.0, 1.0):
        return
    for step in (-torch.inf, torch.inf):
        beside = torch.nextafter(ours, torch.full_like(ours, step))
        for mine, other, true in zip(ours.tolist(), beside.tolist(), exact, strict=True):
            assert abs(Fraction(mine) - true) <= abs(Fraction(other) - true)


def test_float32_arithmetic_would_miss_by_a_unit() -> None:
    """What the test above must be able to see: float32 inside misses one weight in a hundred."""
    one, two = pair(1, torch.float32, 4096)
    single = np.empty(len(one), np.float32)
    blend(widened(one, "F32"), [(0.37, widened(two, "F32"))], single)
    missed = (torch.from_numpy(single) != mix(one, two, 0.37)).float().mean()
    assert 0.005 < float(missed) < 0.1


@settings(deadline=None)
@given(seed=st.integers(0, 99), lambda_=LAMBDAS)
def test_bf16_is_the_exact_mixture_rounded_once_but_for_a_few(seed: int, lambda_: float) -> None:
    """One rounding of a number as near to the exact mixture as float32 gets.

    With u = 2⁻²⁴, the relative error of one float32 operation, and d = b − a: the difference is
    d(1 + δ₁), the product λd(1 + δ₁)(1 + δ₂), and the sum adds at most u of itself, so that
    before the last rounding the error is at most u(|a + λd| + 2λ|d|), to first order in u.
    Rounding is monotone: what lies between two numbers is rounded to between their roundings.
    """
    one, two = pair(seed, torch.bfloat16)
    ours = mix(one, two, lambda_)
    a, b, weight = one.double(), two.double(), float(np.float32(lambda_))
    exact = a + weight * (b - a)
    error = 2.0**-24 * (exact.abs() + 2 * weight * (b - a).abs()) * (1 + 2.0**-20)
    assert (ours >= (exact - error).to(torch.bfloat16)).all()
    assert (ours <= (exact + error).to(torch.bfloat16)).all()
    assert (ours != exact.to(torch.bfloat16)).sum() <= 20  # Of 4,096; ten are the most seen.


def test_in_place_on_either_side_and_strided() -> None:
    one, two = pair(0, torch.float32, 600)
    expected = mix(one, two, 0.3)
    assert torch.equal(mix_into(one.clone(), one, two, 0.3), expected)
    for side in (0, 1):
        copies = [one.clone(), two.clone()]
        assert torch.equal(mix_into(copies[side], copies[0], copies[1], 0.3), expected)
    grids = [t.reshape(20, 30).t() for t in (one, two)]
    assert torch.equal(mix(grids[0], grids[1], 0.3), expected.reshape(20, 30).t())


def test_integers_are_compared() -> None:
    numbers = torch.arange(5)
    assert torch.equal(mix(numbers, numbers.clone(), 0.5), numbers)
    with pytest.raises(ValueError, match="compared"):
        mix(numbers, numbers + 1, 0.5)
    with pytest.raises(ValueError, match="shapes"):
        mix(torch.ones(2), torch.ones(3), 0.5)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=5), st.integers(0, 9))
def test_any_number_of_sources(weights: list[float], seed: int) -> None:
    generator = np.random.default_rng(seed)
    sources = [generator.standard_normal(64).astype(np.float32) for _ in weights]
    anchor = generator.standard_normal(64).astype(np.float32)
    exact = anchor + sum(
        float(w) * (s.astype(np.float64) - anchor) for w, s in zip(weights, sources, strict=True)
    )
    out = np.empty(64, np.float32)
    blend(anchor, [(w, s.copy()) for w, s in zip(weights, sources, strict=True)], out)
    np.testing.assert_allclose(out, exact, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_inf_are_found(dtype: str, bad: float) -> None:
    values = torch.full((100,), torch.finfo(DTYPES[dtype]).max, dtype=DTYPES[dtype])
    values[::2] = -torch.finfo(DTYPES[dtype]).max
    values[::3] = torch.finfo(DTYPES[dtype]).tiny
    assert not has_nonfinite(as_bytes(values), dtype)
    values[37] = bad
    assert has_nonfinite(as_bytes(values), dtype)
