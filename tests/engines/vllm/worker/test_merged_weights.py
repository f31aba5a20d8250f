"""What vLLM's loaders are given: the merge's tensors, and the head that the merge has."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch

from mi_tui.engines.vllm.worker.merged_weights import (
    decoder_tensors,
    merged_tensors,
    plan_side,
    settle_head,
)
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json, load, store


def untied_config(tied: bool) -> Any:
    text = SimpleNamespace(tie_word_embeddings=tied)
    config = SimpleNamespace(tie_word_embeddings=tied, get_text_config=lambda: text)
    return SimpleNamespace(hf_config=config, word_embeddings_untied_by_checkpoint=True)


def tie(path: Path) -> None:
    tensors = load(path)
    del tensors["lm_head.weight"]
    store(path, tensors)
    change_json(path / "config.json", tie_word_embeddings=True)


def tie_and_store(path: Path) -> None:
    tensors = load(path)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    store(path, tensors)
    change_json(path / "config.json", tie_word_embeddings=True)


def says_tied_only(path: Path) -> None:
    change_json(path / "config.json", tie_word_embeddings=True)


def both(change: Callable[[Path], None]) -> Callable[[Path, Path], None]:
    def change_both(instruct: Path, thinking: Path) -> None:
        change(instruct)
        change(thinking)

    return change_both


def test_the_ends_are_the_files_numbers_and_what_lies_between_is_the_merge(tmp_path: Path) -> None:
    instruct, thinking = tiny_pair("llama", tmp_path)
    pair = Pair(instruct=str(instruct), thinking=str(thinking))
    for lambda_, side in ((0.0, instruct), (1.0, thinking)):
        made = dict(decoder_tensors(plan_side(pair, lambda_)))
        assert made.keys() == load(side).keys()
        assert all(torch.equal(made[name], tensor) for name, tensor in load(side).items())
    mixed = dict(merged_tensors(pair, Recipe(lambda_=0.25), torch.float32))
    name = "model.layers.1.mlp.up_proj.weight"
    wanted = 0.75 * load(instruct)[name].double() + 0.25 * load(thinking)[name].double()
    assert torch.allclose(mixed[name].double(), wanted, atol=1e-7)


def test_prediction_layers_and_buffers_are_left_out(tmp_path: Path) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    more = {
        "mtp.norm.weight": torch.ones(32),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
    }
    store(thinking, load(thinking) | more)
    pair = Pair(instruct=str(instruct), thinking=str(thinking))
    names = dict(decoder_tensors(plan_side(pair, 1.0))).keys()
    assert not names & more.keys()
    assert names == load(instruct).keys()


@pytest.mark.parametrize(
    ("change", "tied"),
    [
        (both(tie), True),
        (both(tie_and_store), True),
        (lambda instruct, thinking: tie(thinking), False),
        (lambda instruct, thinking: says_tied_only(thinking), False),
    ],
)
def test_the_head_is_tied_as_the_merge_has_it(
    change: Callable[[Path, Path], None], tied: bool, tmp_path: Path
) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    change(instruct, thinking)
    plan = plan_side(Pair(instruct=str(instruct), thinking=str(thinking)), 0.0)
    model_config = untied_config(not tied)
    settle_head(model_config, plan)
    assert not model_config.word_embeddings_untied_by_checkpoint
    assert model_config.hf_config.tie_word_embeddings == tied
    assert model_config.hf_config.get_text_config().tie_word_embeddings == tied
    assert ("lm_head.weight" in dict(decoder_tensors(plan))) != tied


@pytest.mark.parametrize("donor", ["instruct", "thinking"])
def test_a_config_without_tied_heads_is_left_alone(
    donor: Literal["instruct", "thinking"], tmp_path: Path
) -> None:
    instruct, thinking = tiny_pair("llama", tmp_path)
    pair = Pair(instruct=str(instruct), thinking=str(thinking), donor=donor)
    model_config = untied_config(False)
    settle_head(model_config, plan_side(pair, 0.0))
    assert not model_config.hf_config.tie_word_embeddings
