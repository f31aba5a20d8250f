"""Heads and embeddings by other names: a wrapper's checkpoint is merged as the bare one is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.checks.compare import compare
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json, load, same_bits, store

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"

NAMINGS: dict[str, dict[str, str]] = {
    "the language model inside": {"model.": "language_model.model.", "lm_": "language_model.lm_"},
    "inside the model": {"model.": "model.language_model."},
    "GPT-NeoX": {EMBEDDING: "gpt_neox.embed_in.weight", HEAD: "embed_out.weight"},
    "Nemotron-H": {EMBEDDING: "backbone.embeddings.weight"},
    "InternLM 2": {EMBEDDING: "model.tok_embeddings.weight", HEAD: "output.weight"},
}


def tied(folder: Path) -> None:
    tensors = load(folder)
    del tensors[HEAD]
    store(folder, tensors)
    change_json(folder / "config.json", tie_word_embeddings=True)


def tied_but_stored(folder: Path) -> None:
    change_json(folder / "config.json", tie_word_embeddings=True)


def padded(folder: Path) -> None:
    tensors = load(folder)
    for name in (EMBEDDING, HEAD):
        tensors[name] = torch.cat([tensors[name], torch.ones(16, 32)])
    store(folder, tensors)
    change_json(folder / "config.json", vocab_size=112)


def reused_id(folder: Path) -> None:
    data = json.loads((folder / "tokenizer.json").read_text())
    words = data["model"]["vocab"]
    data["model"]["vocab"] = {("<tool>" if n == 3 else word): n for word, n in words.items()}
    data["added_tokens"] = []
    (folder / "tokenizer.json").write_text(json.dumps(data))


EDGES: dict[str, Callable[[Path], None]] = {
    "tied": tied,
    "tied, another head stored": tied_but_stored,
    "padded further": padded,
    "an id means another token": reused_id,
}


def renamed(naming: dict[str, str], name: str) -> str:
    for old, new in naming.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("edge", EDGES)
def test_a_wrappers_checkpoint_is_merged_as_the_bare_one(
    edge: str, side: int, tmp_path: Path
) -> None:
    sides = tiny_pair("qwen3", tmp_path)
    EDGES[edge](sides[side])
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]))
    plain = merge(interpolation(0.4), pair, tmp_path / "plain")
    expected = load(tmp_path / "plain")
    said = [finding.message for finding in compare(*map(read, sides)).findings]
    bare = [load(folder) for folder in sides]
    for number, naming in enumerate(NAMINGS.values()):
        for folder, tensors in zip(sides, bare, strict=True):
            store(folder, {renamed(naming, name): t for name, t in tensors.items()})
        made = merge(interpolation(0.4), pair, tmp_path / str(number))
        found = load(tmp_path / str(number))
        wanted = {renamed(naming, name): t for name, t in expected.items()}
        assert found.keys() == wanted.keys()
        assert all(same_bits(found[name], wanted[name]) for name in wanted)
        assert made.recipe == plain.recipe
        now = [finding.message for finding in compare(*map(read, sides)).findings]
        assert len(now) == len(said)


def read(folder: Path) -> CheckpointInfo:
    return inspect(locate(str(folder)))
