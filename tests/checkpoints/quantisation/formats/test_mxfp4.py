"""mxfp4 experts are read as transformers dequantises them, bit for bit."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from tests.checkpoints.quantisation.reading import read, same, view_of

NAME = "model.layers.0.mlp.experts.gate_up_proj"


def random_bytes(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@settings(max_examples=100, deadline=None)
@given(
    experts=st.integers(1, 3),
    rows=st.integers(1, 9),
    groups=st.integers(1, 4),
    seed=st.integers(0, 1000),
    step=st.integers(1, 500),
)
def test_experts_are_those_of_transformers(
    experts: int, rows: int, groups: int, seed: int, step: int
) -> None:
    blocks = random_bytes((experts, rows, groups, 16), seed)
    scales = random_bytes((experts, rows, groups), seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        tensors = {f"{NAME}_blocks": blocks, f"{NAME}_scales": scales}
        view = view_of(Path(folder), tensors)
        assert list(view.tensors) == [NAME]
        assert view.dequantised == "mxfp4"
        wanted = convert_moe_packed_tensors(blocks, scales, dtype=torch.bfloat16)
        assert same(read(view, NAME, step), wanted)


@pytest.mark.parametrize("wrong", ["not transposed", "another group", "halves exchanged"])
def test_a_planted_fault_is_seen(tmp_path: Path, wrong: str) -> None:
    blocks, scales = random_bytes((2, 32, 1, 16), 1), random_bytes((2, 32, 1), 2) // 2 + 64
    wanted = convert_moe_packed_tensors(blocks, scales, dtype=torch.bfloat16)
    if wrong == "halves exchanged":
        blocks = blocks << 4 | blocks >> 4
    if wrong == "another group":
        scales = scales.roll(1, 1)
    view = view_of(tmp_path, {f"{NAME}_blocks": blocks, f"{NAME}_scales": scales})
    ours = read(view, NAME)
    assert not same(ours.transpose(1, 2) if wrong == "not transposed" else ours, wanted)


def test_scales_of_another_shape_are_a_problem(tmp_path: Path) -> None:
    tensors = {
        f"{NAME}_blocks": random_bytes((2, 4, 2, 16), 1),
        f"{NAME}_scales": random_bytes((2, 4, 3), 1),
    }
    assert "does not belong to" in view_of(tmp_path, tensors).problems[0]
