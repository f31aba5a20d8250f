"""Preflight: each thing that can be wrong with a pair is found and said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mi_tui.checkpoints.checks.compare import compare, compare_many
from mi_tui.checkpoints.checks.findings import PairReport
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.plan import plan_merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.checkpoints.weights import change_json, load, quantise, store


def infos(paths: tuple[Path, ...]) -> list[CheckpointInfo]:
    return [inspect(locate(str(path))) for path in paths]


def report_on(paths: tuple[Path, ...]) -> PairReport:
    return compare(*infos(paths))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_good_pair_fits(family: str, tmp_path: Path) -> None:
    paths = tiny_pair(family, tmp_path, shards=(1, 3), base=True)
    report = report_on(paths)
    assert report.fits
    assert {finding.level for finding in report.findings} == {"ok"}
    template = next(f for f in report.findings if f.subject == "chat template")
    assert "instruct's does not open <think>, thinking's opens <think>" in template.message
    assert compare_many(infos(paths)).fits


def drop_tensor(path: Path) -> None:
    tensors = load(path)
    del tensors["model.norm.weight"]
    store(path, tensors)


def reshape_tensor(path: Path) -> None:
    store(path, load(path) | {"model.norm.weight": torch.ones(33)})


def make_integers(path: Path) -> None:
    store(path, load(path) | {"model.norm.weight": torch.ones(32, dtype=torch.int32)})


def make_fp8(path: Path) -> None:
    store(path, {name: t.to(torch.float8_e4m3fn) for name, t in load(path).items()})


def make_scaled_fp8(path: Path) -> None:
    quantise(path, block=(8, 8))


def make_gptq(path: Path) -> None:
    tensors = load(path)
    name = "model.layers.0.mlp.up_proj."
    tensors[name + "qweight"] = tensors.pop(name + "weight").int()
    store(path, tensors)
    change_json(path / "config.json", quantization_config={"quant_method": "gptq"})


def cut(path: Path) -> None:
    file = path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])


def config(**values: Any) -> Callable[[Path], None]:
    return lambda path: change_json(path / "config.json", **values)


def rename_tokens(path: Path) -> None:
    data = json.loads((path / "tokenizer.json").read_text())
    words = data["model"]["vocab"]
    data["model"]["vocab"] = dict(zip(words, reversed(words.values()), strict=True))
    data["added_tokens"] = []
    (path / "tokenizer.json").write_text(json.dumps(data))


def double(path: Path) -> None:
    store(path, {name: tensor.double() for name, tensor in load(path).items()})


def name_eos(**values: Any) -> Callable[[Path], None]:
    return lambda path: change_json(path / "generation_config.json", **values)


def end_turns(path: Path) -> None:
    (path / "chat_template.jinja").write_text("{{ messages }}<|im_end|>")


def add_token(path: Path) -> None:
    data = json.loads((path / "tokenizer.json").read_text())
    data["model"]["vocab"]["six"] = 12
    (path / "tokenizer.json").write_text(json.dumps(data))


WRONG: dict[str, tuple[Callable[[Path], None], str, str, str]] = {
    "family": (config(model_type="llama"), "error", "architecture", "is llama"),
    "class": (config(architectures=["Other"]), "warning", "architecture", "Other"),
    "layers": (config(num_hidden_layers=5), "error", "shape", "num_hidden_layers is 4"),
    "rope": (
        config(rope_parameters={"rope_type": "default", "rope_theta": 5.0}),
        "warning",
        "settings",
        "'rope_theta': 5.0",
    ),
    "rope as transformers 4 wrote it": (
        config(rope_parameters=None, rope_theta=5.0),
        "warning",
        "settings",
        "'rope_theta': 5.0",
    ),
    "missing tensor": (drop_tensor, "error", "tensors", "model.norm.weight only in instruct"),
    "shape": (reshape_tensor, "error", "shape", "model.norm.weight differ"),
    "integers": (make_integers, "error", "dtype", "integers on the other"),
    "fp8 tensors": (make_fp8, "error", "thinking weights", "bf16 checkpoint"),
    "fp8 without scales": (make_fp8, "error", "thinking weights", "no scale that is known"),
    "gptq": (make_gptq, "error", "thinking weights", "(gptq)"),
    "left-over quantization_config": (
        config(quantization_config={"quant_method": "gptq"}),
        "warning",
        "thinking weights",
        "says gptq, but the weights are plain",
    ),
    "fp8 with scales": (
        make_scaled_fp8,
        "ok",
        "thinking weights",
        "fp8 (block scales 8 × 8), read as bf16; 37.2 k parameters",
    ),
    "double precision": (double, "warning", "dtype", "f32 in instruct, f64 in thinking"),
    "a number as text": (config(num_hidden_layers="4"), "error", "shape", "4 in instruct, '4'"),
    "an end token that is a word": (
        name_eos(eos_token_id=[2, 7]),
        "warning",
        "thinking end token",
        "'one' (7): ordinary text in its tokenizer",
    ),
    "an end token that is a word on the other side": (
        name_eos(eos_token_id=[2, 7]),
        "warning",
        "thinking end token",
        "'one' (7): ordinary text in instruct's tokenizer",
    ),
    "an end token beyond the embedding": (
        name_eos(eos_token_id=5000),
        "warning",
        "thinking end token",
        "? (5000): beyond the 96 rows",
    ),
    "an end token as text": (
        name_eos(eos_token_id="2"),
        "warning",
        "thinking end token",
        "eos_token_id is '2', which is no number",
    ),
    "an end token that is none": (
        lambda path: change_json(path / "tokenizer_config.json", eos_token="<nope>"),
        "warning",
        "thinking end token",
        "'<nope>' is the tokenizer's eos_token, and no token of it",
    ),
    "turns that end in text": (
        end_turns,
        "warning",
        "thinking end token",
        "ends turns with '<|im_end|>', no token",
    ),
    "truncated": (cut, "error", "thinking weights", "cut short"),
    "remote code": (
        config(auto_map={"AutoModel": "m.M"}),
        "warning",
        "remote code",
        "trust_remote_code",
    ),
    "other tokenizer": (rename_tokens, "error", "vocabulary", "do not share a tokenizer"),
    "one more token": (add_token, "warning", "vocabulary", "1 only in thinking"),
    "special tokens": (
        lambda path: change_json(path / "tokenizer_config.json", eos_token="<s>"),
        "warning",
        "special tokens",
        "eos_token is '</s>' in instruct, '<s>' in thinking",
    ),
    "no template": (
        lambda path: (path / "chat_template.jinja").unlink(),
        "ok",
        "chat template",
        "thinking's has none",
    ),
    "no tokenizer": (
        lambda path: (path / "tokenizer.json").unlink(),
        "warning",
        "vocabulary",
        "no tokenizer.json",
    ),
    "tied": (
        config(tie_word_embeddings=True),
        "warning",
        "head",
        "lm_head.weight is stored and is not the embedding",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_finds_what_is_wrong(case: str, tmp_path: Path) -> None:
    change, level, subject, text = WRONG[case]
    paths = tiny_pair("qwen3", tmp_path)
    change(paths[1])
    report = report_on(paths)
    found = [f for f in report.findings if f.subject == subject and text in f.message]
    assert found, report.findings
    assert found[0].level == level
    assert report.fits == (level != "error")
    assert all("\n" not in finding.message for finding in report.findings)
    if level == "error":
        pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
        with pytest.raises(CheckpointError, match="do not fit"):
            plan_merge(interpolation(0.5), pair, tmp_path / "out")


def test_a_checkpoint_with_itself_is_a_warning(tmp_path: Path) -> None:
    instruct, *_ = tiny_pair(next(iter(FAMILIES)), tmp_path)
    report = report_on((instruct, instruct))
    assert report.fits
    (warning,) = [found for found in report.findings if found.level == "warning"]
    assert "the same checkpoint: every λ gives this model" in warning.message


def test_a_damaged_side_is_not_compared_further(tmp_path: Path) -> None:
    """One error for the cut file, none for what follows from it."""
    paths = tiny_pair("qwen3", tmp_path)
    cut(paths[1])
    report = compare(*(inspect(locate(str(path))) for path in paths))
    assert len(report.errors) == 1
    assert not [f for f in report.findings if f.subject in ("dtype", "tensors", "shape")]


def test_an_unfit_base_is_found(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path, base=True)
    drop_tensor(paths[2])
    report = report_on(paths)
    assert any("only in thinking" in finding.message for finding in report.errors)


def test_trusted_code_is_still_mentioned(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    change_json(paths[1] / "config.json", auto_map={"AutoModel": "m.M"})
    report = compare(*infos(paths), trust_remote_code=True)
    assert any("trusted as you asked" in finding.message for finding in report.findings)


def test_a_hundred_thousand_tensors(tmp_path: Path) -> None:
    """As many as the largest mixtures of experts have."""
    info = infos(tiny_pair("qwen3", tmp_path))[0]
    tensor = info.tensors["model.norm.weight"]
    many = {
        f"model.layers.{i // 999}.mlp.experts.{i % 999}.up_proj.weight": tensor
        for i in range(100_000)
    }
    kinds = ["full_attention"] * 101
    config = {**info.config, "num_hidden_layers": 101, "layer_types": kinds}
    big = CheckpointInfo(info.location, config, None, info.tokenizer, many, info.files)
    report = compare(big, big)
    assert report.fits
    assert any("100,000 tensors" in finding.message for finding in report.findings)
