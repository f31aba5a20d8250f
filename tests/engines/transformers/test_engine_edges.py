"""Pairs whose sides differ as real ones do: a study's responses are the merged checkpoint's.

Each edge changes one side or both of a tiny pair. What the engine says at λ = 0, 0.37 and 1, and
with a recipe of several parts, equals token for token what plain transformers says with the
directory that the merge writes, in one pass and in place.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch

from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import EngineError, Request
from mi_tui.engines.transformers.weights.one_pass import OnePassWeights
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json, load, store
from tests.engines.support import GREEDY, generated, plain_model, prompts, run, with_end

RECIPES = (
    Recipe(lambda_=0.0, decoding=GREEDY),
    Recipe(lambda_=0.37, decoding=GREEDY),
    Recipe(lambda_=1.0, decoding=GREEDY),
    Recipe(
        lambda_=0.8,
        scope=Scope(modules=(ModuleKind.FFN, ModuleKind.EMBEDDINGS, ModuleKind.HEAD)),
        rules=(LambdaRule(lambda_=0.4, layers=parse_layers("1-2")),),
        decoding=GREEDY,
    ),
)

Edge = Callable[[Path, Path], None]


def rope(instruct: Path, thinking: Path) -> None:
    for path, theta in ((instruct, 1e4), (thinking, 50.0)):
        rope = {"rope_type": "default", "rope_theta": theta}
        change_json(path / "config.json", rope_parameters=rope)


def norm_eps(instruct: Path, thinking: Path) -> None:
    change_json(instruct / "config.json", rms_norm_eps=1e-6)
    change_json(thinking / "config.json", rms_norm_eps=0.3)


def window(instruct: Path, thinking: Path) -> None:
    kinds = ["sliding_attention", "full_attention"] * 2
    change_json(
        thinking / "config.json",
        use_sliding_window=True,
        sliding_window=4,
        layer_types=kinds,
        max_window_layers=0,
    )


def tied(path: Path) -> None:
    tensors = load(path)
    del tensors["lm_head.weight"]
    store(path, tensors)
    change_json(path / "config.json", tie_word_embeddings=True)


def tied_but_stored(path: Path) -> None:
    change_json(path / "config.json", tie_word_embeddings=True)


def padded(path: Path, rows: int = 112) -> None:
    tensors = load(path)
    for name in {"model.embed_tokens.weight", "lm_head.weight"} & tensors.keys():
        more = torch.randn(rows - 96, 32, generator=torch.Generator().manual_seed(3))
        tensors[name] = torch.cat([tensors[name], 0.1 * more.to(tensors[name].dtype)])
    store(path, tensors)
    change_json(path / "config.json", vocab_size=rows)


def no_head_dim(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    del config["head_dim"]
    (path / "config.json").write_text(json.dumps(config))


def prediction_layer(path: Path) -> None:
    store(
        path, load(path) | {"mtp.fc.weight": torch.ones(32, 64), "mtp.norm.weight": torch.ones(32)}
    )


def frequencies(path: Path) -> None:
    store(path, load(path) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)})


def as_bf16(path: Path) -> None:
    store(path, {name: tensor.bfloat16() for name, tensor in load(path).items()})
    change_json(path / "config.json", dtype="bfloat16")


def reused_id(instruct: Path, thinking: Path) -> None:
    file = instruct / "tokenizer.json"
    data = json.loads(file.read_text())
    words = data["model"]["vocab"]
    data["model"]["vocab"] = {("<tool>" if n == 3 else word): n for word, n in words.items()}
    data["added_tokens"] = []
    file.write_text(json.dumps(data))


def first(change: Callable[[Path], None]) -> Edge:
    return lambda instruct, _: change(instruct)


def second(change: Callable[[Path], None]) -> Edge:
    return lambda _, thinking: change(thinking)


EDGES: dict[str, tuple[str, Edge]] = {
    "rope_theta": ("llama", rope),
    "rms_norm_eps": ("qwen3", norm_eps),
    "sliding window on one side": ("qwen2", window),
    "Instruct tied": ("qwen3", first(tied)),
    "Thinking tied": ("qwen3", second(tied)),
    "Instruct tied, another head stored": ("llama", first(tied_but_stored)),
    "Thinking tied, another head stored": ("llama", second(tied_but_stored)),
    "Instruct padded further": ("qwen3", first(padded)),
    "Thinking padded further": ("qwen3", second(padded)),
    "head_dim absent in Instruct": ("llama", first(no_head_dim)),
    "head_dim absent in Thinking": ("llama", second(no_head_dim)),
    "prediction layers in Instruct": ("qwen3", first(prediction_layer)),
    "prediction layers in Thinking": ("qwen3", second(prediction_layer)),
    "buffers stored in Instruct": ("llama", first(frequencies)),
    "Instruct in bf16": ("qwen2", first(as_bf16)),
    "Thinking in bf16": ("qwen2", second(as_bf16)),
    "an id means another token": ("qwen3", reused_id),
}

_REUSED = "an id means another token"

PROMPTS = [(3, 5, 7, 3, 9, 3), *prompts(2, seed=3, longest=14)]
"""The first has an id whose meaning differs in one of the edges."""


@pytest.mark.parametrize(
    ("edge", "donor"),
    [*((edge, "thinking") for edge in EDGES), ("rope_theta", "instruct"), (_REUSED, "instruct")],
)
def test_a_study_measures_the_checkpoint_that_is_exported(
    edge: str, donor: Literal["instruct", "thinking"], tmp_path: Path
) -> None:
    family, change = EDGES[edge]
    instruct, thinking = tiny_pair(family, tmp_path)
    change(instruct, thinking)
    pair = Pair(instruct=str(instruct), thinking=str(thinking), donor=donor)
    requests = [
        Request(10 * at + number, recipe, prompt, seed=0, max_new_tokens=16)
        for at, recipe in enumerate(RECIPES)
        for number, prompt in enumerate(PROMPTS)
    ]
    made = {}
    modes: tuple[Literal["one-pass", "in-place"], ...] = ("one-pass", "in-place")
    for mode in modes:
        plan = EnginePlan(mode=mode, device="cpu", dtype="float32", batch=8, threads=1)
        engine = open_engine(plan, pair)
        assert engine.self_check().passed
        assert engine.capabilities.mixes_recipes == (mode == "one-pass"), engine.capabilities.note
        made[mode] = run(engine, requests)
        engine.close()
    for at, recipe in enumerate(RECIPES):
        merge(recipe, pair, tmp_path / str(at), dtype="float32")
        model = plain_model(tmp_path / str(at))
        for number, prompt in enumerate(PROMPTS):
            expected = generated(model, prompt, 16)
            for mode, done in made.items():
                assert with_end(done[10 * at + number]) == expected, (recipe.label, mode)


def test_a_model_whose_tensors_are_not_the_configs_is_named(tmp_path: Path) -> None:
    """Layers share names with those of another class: transformers would leave tensors random."""
    instruct, thinking = tiny_pair("phi", tmp_path)
    for path in (instruct, thinking):
        tensors = load(path)
        for name in [name for name in tensors if name.endswith("q_proj.bias")]:
            del tensors[name]
        store(path, tensors)
    pair = Pair(instruct=str(instruct), thinking=str(thinking))
    with pytest.raises(EngineError, match=r"layers\.0\.self_attn\.q_proj\.bias.*would be random"):
        open_engine(EnginePlan(device="cpu", dtype="float32", threads=1), pair)


@pytest.mark.parametrize("side", ["Instruct", "Thinking"])
def test_weights_that_are_not_numbers_fail_the_self_check_by_name(
    side: str, tmp_path: Path
) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    path = instruct if side == "Instruct" else thinking
    tensors = load(path)
    tensors["model.layers.2.mlp.up_proj.weight"][3, 4] = float("nan")
    store(path, tensors)
    pair = Pair(instruct=str(instruct), thinking=str(thinking))
    engine = open_engine(EnginePlan(device="cpu", dtype="float32", threads=1), pair)
    check = engine.self_check()
    assert not check.passed
    assert f"layers.2.mlp.up_proj.weight of {side}" in check.message


def test_an_exception_in_one_pass_leaves_the_study_to_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path)
    pair = Pair(instruct=str(instruct), thinking=str(thinking))
    plan = EnginePlan(mode="one-pass", device="cpu", dtype="float32", threads=1)
    engine = open_engine(plan, pair)

    def broken(*_: object) -> None:
        raise RuntimeError("a kernel is missing")

    monkeypatch.setattr(OnePassWeights, "prepare", broken)
    assert engine.self_check().passed
    assert not engine.capabilities.mixes_recipes
    assert "a kernel is missing" in engine.capabilities.note
