"""A checkpoint against its own config: each contradiction is refused with the names."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.checks.compare import compare
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


def test_an_extra_prediction_layer_is_no_contradiction(tmp_path: Path) -> None:
    folder = tiny_pair("qwen3", tmp_path)[0]
    tensors = load(folder)
    extra = {k.replace(".3.", ".4."): v.clone() for k, v in tensors.items() if ".layers.3." in k}
    store(folder, tensors | extra | {"model.layers.4.eh_proj.weight": torch.ones(2, 2)})
    change_json(folder / "config.json", num_nextn_predict_layers=1)
    assert list(own_problems(inspect(locate(str(folder))))) == []
