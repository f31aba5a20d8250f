"""Inspection: what a checkpoint is, and what makes it unusable."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from mi_tui.checkpoints.checks.compare import compare
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.tokenizer import opens_thinking
from mi_tui.checkpoints.weight_files import INDEX
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.checkpoints.weights import change_json, load, store


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_transformers(family: str, tmp_path: Path) -> None:
    path = tiny_pair(family, tmp_path, shards=2, dtype=torch.bfloat16)[0]
    info = inspect(locate(str(path)))
    model = AutoModelForCausalLM.from_pretrained(path)
    assert info.architecture == type(model).__name__
    assert info.model_type == model.config.model_type
    assert info.layers == model.config.num_hidden_layers == 4
    assert info.parameters == sum(p.numel() for p in model.parameters())
    assert info.nbytes == 2 * info.parameters
    assert dict(info.dtypes) == {"BF16": info.parameters}
    assert info.is_tied == bool(model.config.tie_word_embeddings)
    assert not info.problems
    assert info.quantisation is None
    assert not info.needs_remote_code
    assert info.tokenizer.special["eos_token"] == "</s>"


def test_the_tied_flag_may_be_absent(tmp_path: Path) -> None:
    for tie in (True, False):
        path = tiny_pair("llama", tmp_path / str(tie), tie=tie)[0]
        config = json.loads((path / "config.json").read_text())
        config.pop("tie_word_embeddings", None)
        (path / "config.json").write_text(json.dumps(config))
        assert inspect(locate(str(path))).is_tied == tie


def test_a_multimodal_config_is_read_through(tmp_path: Path) -> None:
    path = tiny_pair("gemma3", tmp_path)[0]
    config = json.loads((path / "config.json").read_text())
    nested = {"model_type": "gemma3", "architectures": ["G"], "text_config": config}
    (path / "config.json").write_text(json.dumps(nested))
    info = inspect(locate(str(path)))
    assert info.text_config["hidden_size"] == 32
    assert info.is_tied


TEMPLATES = {
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}": True,
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}": False,
    "{% if add_generation_prompt %}{% if x %}<think>\n\n</think>{% endif %}{% endif %}": False,
    "{{ m.split('<think>') }}{% if add_generation_prompt %}assistant{% endif %}": False,
    "{% if add_generation_prompt %}{% if x %}<think>{% else %}<think></think>{% endif %}": True,
    "{% if add_generation_prompt %}assistant\n[THINK]{% endif %}": True,
    "<think> everywhere": False,
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_that_open_a_thought(template: str) -> None:
    assert (opens_thinking(template) is not None) is TEMPLATES[template]


def test_the_template_is_found_wherever_it_is_kept(tmp_path: Path) -> None:
    path = tiny_pair("qwen3", tmp_path)[1]
    file = path / "chat_template.jinja"
    template = file.read_text()
    assert inspect(locate(str(path))).tokenizer.opens_thinking
    file.unlink()
    assert inspect(locate(str(path))).tokenizer.chat_template is None
    change_json(path / "chat_template.json", chat_template=template)
    assert inspect(locate(str(path))).tokenizer.opens_thinking
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": template}]
    change_json(path / "tokenizer_config.json", chat_template=named)
    assert inspect(locate(str(path))).tokenizer.chat_template == template


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return tiny_pair("qwen3", tmp_path, shards=3)[0]


def problems(path: Path) -> str:
    return " / ".join(inspect(locate(str(path))).problems)


def test_a_missing_shard(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.unlink()
    assert f"shard {shard.name} is missing" in problems(sharded)


def test_a_truncated_shard(sharded: Path) -> None:
    shard = sorted(sharded.glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "is cut short" in problems(sharded)


def test_a_stale_index(sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["model.extra.weight"] = next(iter(index["weight_map"].values()))
    (sharded / INDEX).write_text(json.dumps(index))
    assert "no shard has, such as model.extra.weight" in problems(sharded)


def test_a_tensor_in_two_files(sharded: Path) -> None:
    tensors = load(sharded)
    store(sharded, tensors, files=2)
    (sharded / "part-2.safetensors").write_bytes((sharded / "part-0.safetensors").read_bytes())
    assert "is in two shards" in problems(sharded)


def test_files_that_are_not_the_model_are_left_alone(sharded: Path) -> None:
    expected = inspect(locate(str(sharded))).parameters
    for name in ("consolidated.safetensors", "adapter_model.safetensors"):
        (sharded / name).write_bytes(b"junk")
    assert inspect(locate(str(sharded))).parameters == expected
    tensors = load_parts(sharded)
    (sharded / "consolidated.safetensors").unlink()
    (sharded / "adapter_model.safetensors").unlink()
    store(sharded, tensors, files=2)
    (sharded / "consolidated-00001.safetensors").write_bytes(b"junk")
    assert inspect(locate(str(sharded))).parameters == expected


def load_parts(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    parts = [load_file(file) for file in folder.glob("model-*.safetensors")]
    return {name: tensor for part in parts for name, tensor in part.items()}


@pytest.mark.parametrize(
    "name", ["../evil.safetensors", "/etc/passwd", "a\\b.safetensors", "x.bin"]
)
def test_an_index_cannot_name_files_elsewhere(sharded: Path, name: str) -> None:
    change_json(sharded / INDEX, weight_map={"a": name})
    with pytest.raises(CheckpointError, match="do not use it"):
        inspect(locate(str(sharded)))


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        inspect(locate(str(tmp_path)))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="no valid JSON"):
        inspect(locate(str(tmp_path)))
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="no JSON object"):
        inspect(locate(str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no safetensors"):
        inspect(locate(str(tmp_path)))
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match="pickled weights"):
        inspect(locate(str(tmp_path)))


def test_the_header_digest_follows_the_layout(tmp_path: Path) -> None:
    one, two = tiny_pair("qwen3", tmp_path)
    digest = inspect(locate(str(one))).header_sha256
    assert inspect(locate(str(two))).header_sha256 == digest
    store(two, load(two) | {"extra": torch.zeros(1)})
    assert inspect(locate(str(two))).header_sha256 != digest


def test_of_two_sets_of_weights_the_one_is_read_that_transformers_loads(tmp_path: Path) -> None:
    """And the other is named: a tool that takes the shards would have another model."""
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    for shard in tiny_pair("qwen3", tmp_path / "older", shards=3)[0].glob("model*"):
        shutil.copy(shard, thinking / shard.name)
    (thinking / "consolidated.safetensors").write_bytes(b"")
    info = inspect(locate(str(thinking)))
    model = AutoModelForCausalLM.from_pretrained(thinking)
    assert [file.name for file in info.files] == ["model.safetensors"]
    assert INDEX in info.rivals
    assert info.others == ("consolidated.safetensors",)
    stored = load_file(info.files[0])["model.norm.weight"]
    assert torch.equal(stored, model.model.norm.weight.data)
    found = compare(inspect(locate(str(instruct))), info).findings
    assert any(f.level == "warning" and INDEX in f.message for f in found)
    assert any(f.level == "ok" and "consolidated.safetensors" in f.message for f in found)


def test_a_shard_that_no_index_names_is_said_not_to_be_the_model(tmp_path: Path) -> None:
    pair = tiny_pair("qwen3", tmp_path, shards=3)
    stray = pair[1] / "model-00009-of-00009.safetensors"
    shutil.copy(next(pair[1].glob("model-00001*")), stray)
    info = inspect(locate(str(pair[1])))
    assert info.rivals == (stray.name,)
    assert stray not in info.files
    found = compare(inspect(locate(str(pair[0]))), info).findings
    assert any(f.level == "warning" and f"not used: {stray.name}" in f.message for f in found)


def test_files_without_an_index_are_taken_with_a_word(tmp_path: Path) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    store(thinking, load(thinking), files=2)
    sides = [inspect(locate(str(folder))) for folder in (instruct, thinking)]
    (warning,) = [f for f in compare(*sides).findings if f.level == "warning"]
    assert "part-0.safetensors, part-1.safetensors: taken, though" in warning.message


@pytest.mark.parametrize(
    ("name", "words"),
    [("consolidated", "has only consolidated.safetensors"), ("adapter_model", "only an adapter")],
)
def test_weights_that_transformers_does_not_take_for_a_model(
    name: str, words: str, tmp_path: Path
) -> None:
    folder = tiny_pair("qwen3", tmp_path)[0]
    (folder / "model.safetensors").rename(folder / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match=words):
        inspect(locate(str(folder)))


@pytest.mark.parametrize("layers", [10_001, 10**30])
@pytest.mark.parametrize("inner", [False, True])
def test_a_number_of_layers_that_no_model_has_is_refused(
    layers: int, inner: bool, tmp_path: Path
) -> None:
    path = tiny_pair("qwen3", tmp_path)[0]
    said = {"num_hidden_layers": layers}
    change_json(path / "config.json", **({"text_config": said} if inner else said))
    with pytest.raises(CheckpointError, match="at most 10,000 are read"):
        inspect(locate(str(path)))
