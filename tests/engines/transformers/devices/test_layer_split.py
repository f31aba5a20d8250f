"""A model that is too large for one GPU is shared out by layers, and decodes the same."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from mi_tui.engines.protocol import EngineError, Request
from mi_tui.engines.transformers.devices import layer_split
from mi_tui.engines.transformers.devices.placement import needs_several, place_over
from mi_tui.engines.transformers.model import pair_tensors
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.support import GREEDY, engine_for, prompts, run

GIB = 1 << 30


@pytest.fixture(scope="module")
def model() -> Any:
    """Eight layers of a model with a tied head, without memory: about 31 GiB in bfloat16."""
    config = Qwen3Config(
        vocab_size=150_000,
        hidden_size=8192,
        intermediate_size=65536,
        num_hidden_layers=8,
        num_attention_heads=64,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        made: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.bfloat16
        )
    return made


def test_layers_are_shared_out_whole_and_evenly(model: Any) -> None:
    found = layer_split.device_map(model, [24 * GIB, 24 * GIB, 24 * GIB])
    layers = [found[f"model.layers.{at}"] for at in range(8)]
    assert layers == sorted(layers)
    assert set(layers) == {0, 1, 2}
    assert all(2 <= layers.count(device) <= 4 for device in range(3))
    head = found.get("lm_head", found.get("model.embed_tokens"))
    assert head == found["model.embed_tokens"]


def test_gpus_that_are_too_small_together_are_refused(model: Any) -> None:
    with pytest.raises(EngineError, match=r"2 GPUs have 24 GiB"):
        layer_split.device_map(model, [12 * GIB, 12 * GIB])


def test_what_is_spread_runs_in_place_and_says_why() -> None:
    assert needs_several(31 * GIB, 24 * GIB)
    assert not needs_several(20 * GIB, 24 * GIB)
    placement = place_over([24 * GIB] * 2, 31 * GIB, 256 * GIB)
    assert (placement.one_pass, placement.pair_tensors, placement.pinned) == (False, False, True)
    assert "2 GPUs" in placement.reason
    assert not place_over([24 * GIB] * 2, 31 * GIB, 64 * GIB).pinned


def test_the_hooks_of_a_spread_model_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = tiny_pair("qwen3", tmp_path)
    wanted = [
        Request(10 * at + n, Recipe(lambda_=at / 2, decoding=GREEDY), prompt, 0, 8)
        for at in range(3)
        for n, prompt in enumerate(prompts(3))
    ]
    plain = run(engine_for(pair), wanted)
    made: list[Any] = []

    def hooked(self: pair_tensors.PairTensors) -> Any:
        from accelerate import dispatch_model

        parts = self._template.model
        where = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
        where |= {f"model.layers.{at}": "cpu" for at in range(len(parts.layers))}
        copied = copy.deepcopy(self._template)
        made.append(
            dispatch_model(
                copied,
                device_map={**where, "lm_head": "cpu"},
                main_device="cpu",
                skip_keys=copied._skip_keys_device_placement,
                force_hooks=True,
            )
        )
        return made[-1]

    monkeypatch.setattr(pair_tensors.PairTensors, "model", hooked)
    done = run(engine_for(pair), wanted)
    assert made[0].model.layers[0]._hf_hook is not None
    assert {n: c.tokens for n, c in done.items()} == {n: c.tokens for n, c in plain.items()}
