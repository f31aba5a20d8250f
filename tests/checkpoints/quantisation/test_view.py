"""The plain view: what is read as bfloat16, what is left out, and what is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mi_tui.checkpoints.quantisation.view import without_quantisation
from tests.checkpoints.quantisation.reading import fp8_config, view_of

PLAIN = {"a.weight": torch.ones(4, 4), "ids": torch.arange(3), "flag": torch.ones(2).bool()}


def test_plain_weights_are_as_they_are(tmp_path: Path) -> None:
    view = view_of(tmp_path, PLAIN, {"model_type": "qwen3"})
    assert set(view.tensors) == set(PLAIN)
    assert (view.dequantised, view.left_over, view.refused) == ("", "", "")
    assert view.config == {"model_type": "qwen3"}


@pytest.mark.parametrize("method", ["fp8", "gptq", "bitsandbytes", "mxfp4", "compressed-tensors"])
def test_a_config_over_plain_weights_is_left_over(tmp_path: Path, method: str) -> None:
    config = {"text_config": {"quantization_config": {"quant_method": method}, "hidden_size": 4}}
    view = view_of(tmp_path, PLAIN, config)
    assert view.left_over == method
    assert not view.refused
    assert view.config == {"text_config": {"hidden_size": 4}}


PACKED: dict[str, tuple[str, dict[str, torch.Tensor]]] = {
    "GPTQ": ("gptq", {"a.qweight": torch.ones(4, 4).int(), "a.scales": torch.ones(1, 4).half()}),
    "AWQ": ("awq", {"a.qweight": torch.ones(4, 4).int(), "a.qzeros": torch.ones(1, 1).int()}),
    "bitsandbytes": (
        "bitsandbytes",
        {"a.weight": torch.ones(8, 1).byte(), "a.weight.absmax": torch.ones(1)},
    ),
    "bitsandbytes in eight bits": (
        "bitsandbytes",
        {"a.weight": torch.ones(4, 4).char(), "a.SCB": torch.ones(4)},
    ),
    "packed by compressed-tensors": (
        "compressed-tensors",
        {"a.weight_packed": torch.ones(4, 1).int(), "a.weight_scale": torch.ones(4, 1).bfloat16()},
    ),
    "nvfp4": (
        "modelopt",
        {
            "a.weight": torch.ones(4, 8).byte(),
            "a.weight_scale": torch.ones(4, 1).to(torch.float8_e4m3fn),
            "a.weight_scale_2": torch.ones(()),
        },
    ),
    "fp8 without scales": ("", {"a.weight": torch.ones(4, 4).to(torch.float8_e4m3fn)}),
}


@pytest.mark.parametrize("case", PACKED)
def test_what_cannot_be_read_is_refused(tmp_path: Path, case: str) -> None:
    method, tensors = PACKED[case]
    config = {"quantization_config": {"quant_method": method}} if method else {}
    view = view_of(tmp_path, PLAIN | tensors, config)
    assert view.refused.startswith(method or "f8_e4m3")
    assert not view.dequantised
    assert view.config == config


def test_a_quantised_tensor_beside_its_plain_one_is_a_problem(tmp_path: Path) -> None:
    tensors = {
        "e.down_proj_blocks": torch.ones(1, 2, 1, 16).byte(),
        "e.down_proj_scales": torch.ones(1, 2, 1).byte(),
        "e.down_proj": torch.ones(1, 32, 2),
    }
    assert "both quantised and plain" in view_of(tmp_path, tensors).problems[0]


def test_the_view_has_a_clean_config_and_no_scales(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.ones(4, 4).to(torch.float8_e4m3fn),
        "a.weight_scale_inv": torch.ones(2, 2),
        "b.weight": torch.ones(4).bfloat16(),
    }
    view = view_of(tmp_path, tensors, fp8_config(weight_block_size=[2, 2]) | {"layers": 1})
    assert {name: (t.dtype, t.shape) for name, t in view.tensors.items()} == {
        "a.weight": ("BF16", (4, 4)),
        "b.weight": ("BF16", (4,)),
    }
    assert view.dequantised == "fp8 (block scales 2 × 2)"
    assert view.config == {"layers": 1}


def test_every_part_of_a_config_is_cleaned() -> None:
    config: dict[str, Any] = {
        "quantization_config": {"quant_method": "fp8"},
        "vision_config": {"compression_config": {}, "depth": 2},
        "rope_scaling": {"factor": 2.0},
    }
    cleaned = without_quantisation(config)
    assert cleaned == {"vision_config": {"depth": 2}, "rope_scaling": {"factor": 2.0}}
    assert "quantization_config" in config


def test_plain_checkpoints_load_no_format_and_no_numpy(tmp_path: Path) -> None:
    """The start of a merge waits for neither."""
    view_of(tmp_path, PLAIN)
    code = (
        "import sys; from pathlib import Path\n"
        "from mi_tui.checkpoints.headers import read_header\n"
        "from mi_tui.checkpoints.quantisation.view import plain_view\n"
        f"plain_view({{}}, read_header(Path({str(tmp_path / 'one.safetensors')!r})))\n"
        "print([m for m in sys.modules if m == 'numpy' or '.formats.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
