"""fp8 weights are read as transformers dequantises them, bit for bit."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

from mi_tui.checkpoints.quantisation.formats.fp8 import scale_grid
from tests.checkpoints.quantisation.reading import fp8_config, read, same, view_of

SCALES = ("float32", "bfloat16", "float16", "ue8m0", "bytes")


def transformers_says(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """What transformers makes of a weight and its scales on the CPU."""
    judge: Any = Fp8Dequantize(None)  # type: ignore[no-untyped-call]  # it has no types
    one: torch.Tensor = judge._dequantize_one(weight, scale, torch.bfloat16)
    return one


def by_hand(weight: torch.Tensor, scale: torch.Tensor, block: tuple[int, int]) -> torch.Tensor:
    """DeepSeek's fp8_cast_bf16.py: blocks from the upper left, the last ones cut short."""
    rows, columns = weight.shape
    factors = scale.float().repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return (weight.float() * factors[:rows, :columns]).to(torch.bfloat16)


def random_weight(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    """All bit patterns with equal chance, NaN and Inf included."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).view(dtype)


def random_scale(shape: tuple[int, ...], kind: str, seed: int) -> torch.Tensor:
    """Scales as checkpoints have them, and far smaller and larger ones."""
    generator = torch.Generator().manual_seed(seed)
    if kind in ("ue8m0", "bytes"):
        raw = torch.randint(0, 255, shape, generator=generator, dtype=torch.uint8)
        return raw.view(torch.float8_e8m0fnu) if kind == "ue8m0" else raw
    numbers = torch.randn(shape, generator=generator).exp2() * 1e-3
    return numbers.to(getattr(torch, kind))


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    """Leading sizes, a grid of scales and a block, so that transformers can read them too."""
    lead = draw(st.lists(st.integers(1, 3), max_size=2))
    grid = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    block = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    matrix = (grid[0] * block[0], grid[1] * block[1])
    return {"weight": (*lead, *matrix), "scale": (*lead, *grid), "block": block}


@settings(max_examples=150, deadline=None)
@given(
    shapes=grids(),
    dtype=st.sampled_from([torch.float8_e4m3fn, torch.float8_e5m2]),
    kind=st.sampled_from(SCALES),
    seed=st.integers(0, 1000),
    step=st.integers(1, 200),
    declared=st.booleans(),
)
def test_blocks_are_those_of_transformers(
    shapes: dict[str, Any], dtype: torch.dtype, kind: str, seed: int, step: int, declared: bool
) -> None:
    weight = random_weight(shapes["weight"], dtype, seed)
    scale = random_scale(shapes["scale"], kind, seed)
    config = fp8_config(weight_block_size=list(shapes["block"]) if declared else None)
    with tempfile.TemporaryDirectory() as folder:
        tensors = {"a.weight": weight, "a.weight_scale_inv": scale}
        view = view_of(Path(folder), tensors, config)
        assert list(view.tensors) == ["a.weight"]
        assert same(read(view, "a.weight", step), transformers_says(weight, scale))


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    block=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    kind=st.sampled_from(SCALES[:3]),
    seed=st.integers(0, 1000),
    step=st.integers(1, 300),
)
def test_the_last_blocks_may_be_cut_short(
    shape: tuple[int, int], block: tuple[int, int], kind: str, seed: int, step: int
) -> None:
    weight = random_weight(shape, torch.float8_e4m3fn, seed)
    grid = (-(-shape[0] // block[0]), -(-shape[1] // block[1]))
    scale = random_scale(grid, kind, seed)
    with tempfile.TemporaryDirectory() as folder:
        tensors = {"a.weight": weight, "a.weight_scale_inv": scale}
        view = view_of(Path(folder), tensors, fp8_config(weight_block_size=list(block)))
        assert same(read(view, "a.weight", step), by_hand(weight, scale, block))


@pytest.mark.parametrize("wrong", ["transposed", "another block", "the scale's reciprocal"])
def test_a_planted_fault_is_seen(tmp_path: Path, wrong: str) -> None:
    """The comparison with transformers fails for scales in the wrong place."""
    weight = random_weight((16, 16), torch.float8_e4m3fn, 1)
    scale = random_scale((4, 4), "float32", 1)
    planted = {
        "transposed": scale.T,
        "another block": scale.roll(1, 0),
        "the scale's reciprocal": 1 / scale,
    }[wrong]
    view = view_of(tmp_path, {"a.weight": weight, "a.weight_scale_inv": planted}, fp8_config())
    assert not same(read(view, "a.weight"), transformers_says(weight, scale))


def test_deepseek_packs_two_numbers_into_a_byte(tmp_path: Path) -> None:
    weight = random_weight((6, 32), torch.int8, 3)
    scale = random_scale((6, 2), "ue8m0", 3)
    view = view_of(tmp_path, {"a.weight": weight, "a.scale": scale}, fp8_config())
    assert view.tensors["a.weight"].shape == (6, 64)
    assert view.dequantised == "fp4 (block scales 1 × 32)"
    for step in (None, 7):
        assert same(read(view, "a.weight", step), transformers_says(weight, scale))


@pytest.mark.parametrize("name", ["weight_scale_inv", "weight_scale", "scale", "qscale_weight"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_scale_for_a_tensor(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    weight = random_weight((5, 7), torch.float8_e4m3fn, 2)
    scale = torch.full(shape, 0.0123, dtype=torch.bfloat16)
    others = {f"a.{n}": torch.ones(()) for n in ("input_scale", "activation_scale")}
    tensors = {"a.weight": weight, f"a.{name}": scale, "a.k_scale": torch.ones(1), **others}
    view = view_of(tmp_path, tensors, fp8_config(activation_scheme="static"))
    assert list(view.tensors) == ["a.weight"]
    assert view.dequantised == "fp8 (tensor scales)"
    assert same(read(view, "a.weight"), (weight.float() * scale.float()).bfloat16())


@pytest.mark.parametrize("shape", [(6, 1), (6,)])
def test_a_scale_for_each_channel(tmp_path: Path, shape: tuple[int, ...]) -> None:
    weight = random_weight((6, 9), torch.float8_e4m3fn, 2)
    scale = random_scale(shape, "float32", 2)
    config = {"quantization_config": {"quant_method": "compressed-tensors"}}
    view = view_of(tmp_path, {"a.weight": weight, "a.weight_scale": scale}, config)
    assert view.dequantised == "fp8 (channel scales)"
    wanted = (weight.float() * scale.float().reshape(6, 1)).bfloat16()
    assert same(read(view, "a.weight", 5), wanted)


def test_stacked_experts_keep_their_name(tmp_path: Path) -> None:
    weight = random_weight((3, 8, 8), torch.float8_e4m3fn, 4)
    scale = random_scale((3, 2, 2), "float32", 4)
    tensors = {"e.down_proj": weight, "e.down_proj_scale_inv": scale}
    view = view_of(tmp_path, tensors, fp8_config())
    assert same(read(view, "e.down_proj", 11), transformers_says(weight, scale))


def test_the_declared_block_comes_before_an_even_division() -> None:
    """192 rows are blocks of 128 and 64, as they were quantised, and not twice 96."""
    grid = scale_grid((192, 128), (2, 1), (128, 128))
    assert grid is not None
    assert grid.block == (128, 128)
    even = scale_grid((192, 128), (2, 1))
    assert even is not None
    assert even.block == (96, 128)


def test_scales_that_do_not_belong_are_a_problem(tmp_path: Path) -> None:
    weight = random_weight((6, 9), torch.float8_e4m3fn, 2)
    tensors = {"a.weight": weight, "a.weight_scale_inv": torch.ones(4, 2)}
    view = view_of(tmp_path, tensors, fp8_config())
    assert "is no scale of a.weight" in view.problems[0]


def test_a_zero_point_is_a_problem(tmp_path: Path) -> None:
    tensors = {
        "a.weight": random_weight((6, 9), torch.float8_e4m3fn, 2),
        "a.weight_scale": torch.ones(6, 1),
        "a.weight_zero_point": torch.zeros(6, 1),
    }
    assert "a.weight_zero_point is not read" in view_of(tmp_path, tensors).problems[0]
