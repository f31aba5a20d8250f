"""A checkpoint against its own config: each contradiction is refused with the names."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.checks.compare import compare
from mi_tui.checkpoints.checks.implied_tensors import contradictions
from mi_tui.checkpoints.checks.own_config import own_problems
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.checkpoints.weights import change_json, load, store


def wrap(prefix: str) -> Callable[[Path], None]:
    return lambda folder: store(folder, {prefix + k: v for k, v in load(folder).items()})


def cut_head(folder: Path) -> None:
    store(folder, {k: v for k, v in load(folder).items() if k != "lm_head.weight"})
    change_json(folder / "config.json", tie_word_embeddings=False)


def drop_layer(number: int) -> Callable[[Path], None]:
    return lambda folder: store(
        folder, {k: v for k, v in load(folder).items() if f".layers.{number}." not in k}
    )


def infix(part: str) -> Callable[[Path], None]:
    return lambda folder: store(
        folder, {k.replace("layers.0.", f"layers.0.{part}."): v for k, v in load(folder).items()}
    )


def not_merged(folder: Path) -> None:
    new = "q_proj.base_layer.weight"
    store(folder, {k.replace("q_proj.weight", new): v for k, v in load(folder).items()})


def leave_adapter(folder: Path) -> None:
    change_json(folder / "adapter_config.json", base_model_name_or_path="other/model")


def forget(*keys: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        kept = {key: value for key, value in config.items() if key not in keys}
        (folder / "config.json").write_text(json.dumps(kept))

    return change


def forget_head(folder: Path) -> None:
    forget("tie_word_embeddings")(folder)
    store(folder, {k: v for k, v in load(folder).items() if k != "lm_head.weight"})


def lengthen_head(folder: Path) -> None:
    tensors = load(folder)
    tensors["lm_head.weight"] = torch.cat([tensors["lm_head.weight"], torch.ones(16, 32)])
    store(folder, tensors)


def say(**settings: object) -> Callable[[Path], None]:
    return lambda folder: change_json(folder / "config.json", **settings)


def drop(part: str) -> Callable[[Path], None]:
    return lambda folder: store(folder, {k: v for k, v in load(folder).items() if part not in k})


def add_biases(folder: Path) -> None:
    tensors = load(folder)
    biases = {
        k.replace("weight", "bias"): torch.ones(len(v)) for k, v in tensors.items() if "q_proj" in k
    }
    store(folder, tensors | biases)


def add_token(folder: Path) -> None:
    data = json.loads((folder / "tokenizer.json").read_text())
    data["added_tokens"].append({"id": 5000, "content": "<far>", "special": True})
    (folder / "tokenizer.json").write_text(json.dumps(data))


def widen(folder: Path) -> None:
    change_json(folder / "config.json", vocab_size=5000)


def say_layers(number: int) -> Callable[[Path], None]:
    return lambda folder: change_json(folder / "config.json", num_hidden_layers=number)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "compiled": (wrap("_orig_mod."), "begin with '_orig_mod.'"),
    "data parallel": (wrap("module."), "begin with 'module.'"),
    "adapter": (wrap("base_model.model."), "begin with 'base_model.model.'"),
    "more layers said": (say_layers(9), "9 layers in config.json, 4 in the weights"),
    "fewer layers said": (say_layers(2), "2 layers in config.json, 4 in the weights"),
    "a layer in the middle": (drop_layer(1), "no tensors of layer 1"),
    "no head": (cut_head, "lm_head.weight is not stored"),
    "vocabulary": (widen, "vocab_size is 5000 in config.json"),
    "far token": (add_token, "'<far>' (5000)"),
    "sharded": (wrap("_fsdp_wrapped_module."), "begin with '_fsdp_wrapped_module.'"),
    "DeepSpeed": (wrap("_forward_module."), "begin with '_forward_module.'"),
    "a compiled layer": (infix("_orig_mod"), "hold '_orig_mod.'"),
    "recomputed layers": (infix("_checkpoint_wrapped_module"), "hold '_checkpoint_wrapped_module."),
    "an adapter inside": (not_merged, "those of an adapter"),
    "an adapter beside": (leave_adapter, "would load the adapter and its base model"),
    "no model type": (forget("model_type"), "names no model_type"),
    "no word on an absent head": (forget_head, "not tied in qwen3"),
    "more layer types": (say(layer_types=["full_attention"] * 9), "and 9 layer_types"),
    "fewer layer types": (say(layer_types=["full_attention"]), "and 1 layer_types"),
    "a longer head": (lengthen_head, "lm_head.weight has 112 rows"),
    "another head_dim": (say(head_dim=16), "config.json implies [64, 32] for model.layers.0.self_"),
    "no head_dim": (forget("head_dim"), "config.json implies [512, 32] for model.layers.0.self_"),
    "more key heads": (say(num_key_value_heads=4), "[32, 32] for model.layers.0.self_attn.k_proj"),
    "a wider FFN": (say(intermediate_size=64), "[64, 32] for model.layers.0.mlp.gate_proj.weight"),
    "no norms of heads": (drop("q_norm"), "q_norm.weight and 2 more tensors, not stored"),
    "biases that are not stored": (say(attention_bias=True), "q_proj.bias, model.layers.0.self_at"),
    "biases that are not said": (add_biases, "q_proj.bias and 2 more tensors stored, which config"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_contradiction_is_refused_by_check_and_merge(fault: str, tmp_path: Path) -> None:
    change, words = FAULTS[fault]
    paths = tiny_pair("qwen3", tmp_path)
    for folder in paths:
        change(folder)
    sides = [inspect(locate(str(folder))) for folder in paths]
    report = compare(*sides)
    assert [f.level for f in report.findings if words in f.message] == ["error", "error"]
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
    with pytest.raises(CheckpointError, match="do not fit"):
        merge(interpolation(0.5), pair, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_transformers_saved_has_no_contradiction(family: str, tmp_path: Path) -> None:
    for folder in tiny_pair(family, tmp_path):
        assert list(own_problems(inspect(locate(str(folder))))) == []


def test_a_prefix_names_the_tool_of_one_side_alone(tmp_path: Path) -> None:
    paths = tiny_pair("qwen3", tmp_path)
    wrap("module.")(paths[1])
    report = compare(*(inspect(locate(str(folder))) for folder in paths))
    assert report.errors[0].subject == "thinking weights"
    assert "begin with 'module.'" in report.errors[0].message


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "qwen3_moe", "mixtral"])
def test_what_a_plain_family_implies_is_what_transformers_builds(
    family: str, tmp_path: Path
) -> None:
    """Every tensor of a layer is known, but for experts; one that is taken away is missed."""
    folder = tiny_pair(family, tmp_path)[0]
    tensors = load(folder)
    layer = [n for n in tensors if ".layers.2." in n and "mlp" not in n and "sparse_moe" not in n]
    layer += [n for n in tensors if ".layers.2." in n and "_proj" in n and "experts" not in n]
    for name in layer:
        store(folder, {k: v for k, v in tensors.items() if k != name})
        found = list(contradictions(inspect(locate(str(folder)))))
        assert [name in words for words in found] == [True], name


def test_an_extra_prediction_layer_is_no_contradiction(tmp_path: Path) -> None:
    folder = tiny_pair("qwen3", tmp_path)[0]
    tensors = load(folder)
    extra = {k.replace(".3.", ".4."): v.clone() for k, v in tensors.items() if ".layers.3." in k}
    store(folder, tensors | extra | {"model.layers.4.eh_proj.weight": torch.ones(2, 2)})
    change_json(folder / "config.json", num_nextn_predict_layers=1)
    assert list(own_problems(inspect(locate(str(folder))))) == []
