"""Pairs whose sides differ as real ones do, in a real vLLM: responses are the merged checkpoint's.

Each edge changes one side or both of a tiny pair. What vLLM says at λ = 0, 0.37 and 1, and with a
recipe of several parts, equals token for token what plain transformers says with the directory that
the merge writes, greedy in float32.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import AutoTokenizer

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Request
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.scope import ModuleKind, Scope, parse_layers
from tests.checkpoints.weights import change_json, load, store
from tests.engines.support import GREEDY, generated, plain_model, prompts, run, with_end
from tests.engines.vllm.pairs import tiny_vllm_pair

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

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
PROMPTS = [(3, 5, 7, 3, 9, 3), *(tuple(3 + t % 80 for t in p) for p in prompts(2, seed=3))]
"""The first has an id whose meaning differs in one of the edges."""

Edge = Callable[[Path, Path], None]


def rope(instruct: Path, thinking: Path) -> None:
    for path, theta in ((instruct, 1e4), (thinking, 50.0)):
        kind = {"rope_type": "default", "rope_theta": theta}
        change_json(path / "config.json", rope_parameters=kind)


def norm_eps(instruct: Path, thinking: Path) -> None:
    change_json(instruct / "config.json", rms_norm_eps=1e-6)
    change_json(thinking / "config.json", rms_norm_eps=0.3)


def tied(path: Path) -> None:
    tensors = load(path)
    del tensors["lm_head.weight"]
    store(path, tensors)
    change_json(path / "config.json", tie_word_embeddings=True)


def tied_but_stored(path: Path) -> None:
    change_json(path / "config.json", tie_word_embeddings=True)


def tied_and_stored(path: Path) -> None:
    tensors = load(path)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    store(path, tensors)
    change_json(path / "config.json", tie_word_embeddings=True)


def padded(path: Path) -> None:
    tensors = load(path)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        more = torch.randn(16, 64, generator=torch.Generator().manual_seed(3))
        tensors[name] = torch.cat([tensors[name], 0.1 * more])
    store(path, tensors)
    change_json(path / "config.json", vocab_size=len(tensors["lm_head.weight"]))


def extras(path: Path) -> None:
    more = {
        "mtp.fc.weight": torch.ones(64, 128),
        "mtp.norm.weight": torch.ones(64),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(16),
    }
    store(path, load(path) | more)


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


def each(one: Callable[[Path], None], other: Callable[[Path], None]) -> Edge:
    def change(instruct: Path, thinking: Path) -> None:
        one(instruct)
        other(thinking)

    return change


EDGES: dict[str, tuple[str, Edge]] = {
    "rope_theta": ("llama", rope),
    "rms_norm_eps": ("qwen3", norm_eps),
    "Instruct tied": ("qwen3", first(tied)),
    "Thinking tied": ("qwen3", second(tied)),
    "both tied, and stored": ("qwen3", each(tied_and_stored, tied_and_stored)),
    "Instruct tied, Thinking says so and stores another head": (
        "qwen3",
        each(tied, tied_but_stored),
    ),
    "Instruct padded further": ("qwen3", first(padded)),
    "Thinking padded further": ("qwen3", second(padded)),
    "prediction layers and buffers in Thinking": (
        "qwen3",
        second(extras),
    ),
    "Instruct in bf16": ("llama", first(as_bf16)),
    "an id means another token": ("qwen3", reused_id),
}

CASES = [
    *((edge, "thinking", "one-pass") for edge in EDGES),
    ("rope_theta", "instruct", "one-pass"),
    ("an id means another token", "instruct", "one-pass"),
    ("rms_norm_eps", "thinking", "in-place"),
    ("Thinking tied", "thinking", "in-place"),
    ("both tied, and stored", "thinking", "in-place"),
]


@pytest.mark.parametrize(("edge", "donor", "mode"), CASES)
def test_a_study_measures_the_checkpoint_that_is_exported(
    edge: str,
    donor: Literal["instruct", "thinking"],
    mode: Literal["one-pass", "in-place"],
    tmp_path: Path,
) -> None:
    family, change = EDGES[edge]
    tokenizer = AutoTokenizer.from_pretrained(demo_pair_folder() / "instruct")
    instruct, thinking = tiny_vllm_pair(family, tmp_path, tokenizer)
    change(instruct, thinking)
    pair = Pair(instruct=str(instruct), thinking=str(thinking), donor=donor)
    requests = [
        Request(10 * at + number, recipe, prompt, seed=0, max_new_tokens=16)
        for at, recipe in enumerate(RECIPES)
        for number, prompt in enumerate(PROMPTS)
    ]
    engine = open_engine(EnginePlan(kind="vllm", mode=mode, threads=1, batch=32), pair)
    try:
        assert engine.capabilities.mixes_recipes == (mode == "one-pass"), engine.capabilities.note
        done = run(engine, requests)
        check = engine.self_check()
        assert check.passed, check.message
        assert engine.capabilities.mixes_recipes == (mode == "one-pass"), engine.capabilities.note
    finally:
        engine.close()
    for at, recipe in enumerate(RECIPES):
        merge(recipe, pair, tmp_path / str(at), dtype="float32")
        model = plain_model(tmp_path / str(at))
        for number, prompt in enumerate(PROMPTS):
            expected = generated(model, prompt, 16)
            assert with_end(done[10 * at + number]) == expected, recipe.label


def test_a_tensor_that_is_not_in_the_files_is_named(tmp_path: Path) -> None:
    """vLLM would leave it as it was allocated; it is refused before vLLM starts."""
    tokenizer = AutoTokenizer.from_pretrained(demo_pair_folder() / "instruct")
    instruct, thinking = tiny_vllm_pair("qwen2", tmp_path, tokenizer)
    for path in (instruct, thinking):
        tensors = load(path)
        for name in [name for name in tensors if name.endswith("_proj.bias")]:
            del tensors[name]
        store(path, tensors)
    with pytest.raises(CheckpointError, match=r"q_proj.bias.*not stored"):
        open_engine(
            EnginePlan(kind="vllm", threads=1),
            Pair(instruct=str(instruct), thinking=str(thinking)),
        )
