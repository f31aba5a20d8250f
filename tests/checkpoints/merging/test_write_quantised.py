"""Merges of quantised checkpoints: the weights are those that transformers dequantises."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GptOssConfig, GptOssForCausalLM

from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.in_memory import mixed_tensors
from mi_tui.checkpoints.merging.manifest import read_manifest, verify
from mi_tui.checkpoints.merging.write import merge
from mi_tui.checkpoints.relative_gap import relative_gap
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json, load, quantise, same_bits, store

Tensors = dict[str, torch.Tensor]

SIDES = {
    "instruct in tensor scales": ([0], None, torch.bfloat16),
    "thinking in blocks": ([1], (8, 16), torch.float32),
    "both in blocks": ([0, 1], (16, 16), torch.float32),
    "both with scales that are powers of two": ([0, 1], (8, 8), torch.float8_e8m0fnu),
}


def as_pair(paths: tuple[Path, ...]) -> Pair:
    return Pair(instruct=str(paths[0]), thinking=str(paths[1]))


def loaded(folder: Path) -> Tensors:
    """The parameters that plain transformers loads, dequantised by itself, in bfloat16."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    return {name: p.data for name, p in model.named_parameters()}


def plain_copy(folder: Path, tensors: Tensors) -> None:
    """The same checkpoint with plain weights."""
    store(folder, tensors)
    data = json.loads((folder / "config.json").read_text())
    data.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(data))


@pytest.fixture(params=SIDES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, ...]:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    sides, block, scales = SIDES[request.param]
    for side in sides:
        quantise(paths[side], block, scales)
    return paths


@pytest.mark.parametrize("lambda_", [0.0, 0.37, 1.0])
def test_a_merge_is_the_mix_of_what_transformers_loads(
    pair: tuple[Path, ...], lambda_: float, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    merge(interpolation(lambda_), as_pair(pair), out)
    one, two = (loaded(path) for path in pair)
    merged = loaded(out)
    assert merged.keys() == one.keys()
    for name, tensor in merged.items():
        wanted = {0.0: one[name], 1.0: two[name]}.get(lambda_, mix(one[name], two[name], lambda_))
        assert same_bits(tensor, wanted), name
    assert {tensor.dtype for tensor in load(out).values()} == {torch.bfloat16}
    assert not [name for name in load(out) if "scale" in name]
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    in_memory = dict(mixed_tensors(interpolation(lambda_), as_pair(pair)))
    assert all(same_bits(in_memory[name], tensor) for name, tensor in load(out).items())


def test_sigma_is_that_of_the_dequantised_weights(
    pair: tuple[Path, ...],
) -> None:
    measured = relative_gap(*(inspect(locate(str(path))) for path in pair))
    for path in pair:
        plain_copy(path, loaded(path))
    plain = relative_gap(*(inspect(locate(str(path))) for path in pair))
    assert measured.by_layer == pytest.approx(plain.by_layer)
    assert measured.sigma == pytest.approx(plain.sigma)


def test_the_result_says_what_was_dequantised(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    quantise(paths[0], (8, 8))
    out = tmp_path / "out"
    merge(interpolation(0.5), as_pair(paths), out)
    said = [source.dequantised for source in read_manifest(out).sources]
    assert said == ["fp8 (block scales 8 × 8)", ""]
    card = (out / "README.md").read_text()
    assert "read as bf16: instruct, fp8 (block scales 8 × 8)." in card
    found = [f for f in verify(out) if f.subject == "instruct"]
    assert [f.message for f in found] == ["made from fp8 (block scales 8 × 8), read as bf16"]


def test_a_left_over_config_is_not_written(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16)
    plain = load(paths[1])
    change_json(paths[1] / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    out = tmp_path / "out"
    merge(interpolation(1.0), as_pair(paths), out)
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    assert all(same_bits(load(out)[name], tensor) for name, tensor in plain.items())


def test_a_quantised_head_is_not_the_embedding(tmp_path: Path) -> None:
    """A tied flag and a head of its own in fp8: both are kept."""
    paths = tiny_pair("qwen3", tmp_path, dtype=torch.bfloat16, tie=True)
    for path in paths:
        tensors = load(path)
        head = tensors["model.embed_tokens.weight"].flip(0)
        tensors["lm_head.weight"] = head.to(torch.float8_e4m3fn)
        tensors["lm_head.weight_scale"] = torch.tensor(0.5)
        store(path, tensors)
    assert inspect(locate(str(paths[0]))).head == "stored-but-different"
    out = tmp_path / "out"
    merge(interpolation(1.0), as_pair(paths), out)
    wanted = load(paths[1])["lm_head.weight"].float() * 0.5
    assert same_bits(load(out)["lm_head.weight"], wanted.bfloat16())


def gpt_oss(folder: Path, seed: int) -> Path:
    """A tiny gpt-oss whose experts are packed as its published weights are."""
    torch.manual_seed(seed)
    config: Any = GptOssConfig(
        vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_local_experts=3,
        num_experts_per_tok=2, sliding_window=8, max_position_embeddings=256,
        pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model: Any = GptOssForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    tensors = load(folder)
    for name in [n for n in tensors if n.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, columns, rows = tensors.pop(name).shape
        shape = (experts, rows, columns // 32, 16)
        tensors[f"{name}_blocks"] = torch.randint(0, 256, shape, dtype=torch.uint8)
        tensors[f"{name}_scales"] = torch.randint(118, 124, shape[:3], dtype=torch.uint8)
    store(folder, tensors)
    settings = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    change_json(folder / "config.json", quantization_config=settings)
    return folder


@pytest.mark.parametrize("plain_sides", [[], [1]], ids=["both packed", "thinking plain"])
def test_gpt_oss_is_merged_as_transformers_loads_it(plain_sides: list[int], tmp_path: Path) -> None:
    paths = gpt_oss(tmp_path / "one", 1), gpt_oss(tmp_path / "two", 2)
    one, two = (loaded(path) for path in paths)
    for side in plain_sides:
        plain_copy(paths[side], (one, two)[side])
    out = tmp_path / "out"
    merge(interpolation(0.37), as_pair(paths), out)
    merged = loaded(out)
    assert merged.keys() == one.keys()
    for name, tensor in merged.items():
        assert same_bits(tensor, mix(one[name], two[name], 0.37)), name
