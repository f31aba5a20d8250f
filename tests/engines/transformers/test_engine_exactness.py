"""Greedy responses equal, token for token, those of each merged model in plain transformers."""

import json
from pathlib import Path

import pytest
import torch

from mi_tui.engines.protocol import Request
from mi_tui.plan.method import METHODS
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.scope import LayerRange, ModuleKind, Scope
from tests.checkpoints.families import FAMILIES, tiny_pair
from tests.engines.support import (
    GREEDY,
    engine_for,
    generated,
    merged_model,
    prompts,
    run,
    with_end,
)

RECIPES = [
    Recipe(lambda_=0.0, decoding=GREEDY),
    Recipe(lambda_=0.3, decoding=GREEDY),
    Recipe(lambda_=1.0, decoding=GREEDY),
    Recipe(lambda_=0.8, scope=Scope(layers=(LayerRange(first=1, last=2),)), decoding=GREEDY),
    Recipe(
        lambda_=0.8,
        scope=Scope(modules=(ModuleKind.FFN, ModuleKind.NORMS, ModuleKind.EMBEDDINGS)),
        rules=(LambdaRule(lambda_=0.4, layers=(LayerRange(first=0, last=0),)),),
        decoding=GREEDY,
    ),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_equals_its_merged_models(family: str, tmp_path: Path) -> None:
    pair = tiny_pair(family, tmp_path)
    questions = prompts(4, longest=20)
    requests = [
        Request(
            id=10 * at + number, recipe=recipe, prompt=prompt, seed=0, max_new_tokens=6 + 5 * number
        )
        for at, recipe in enumerate(RECIPES)
        for number, prompt in enumerate(questions)
    ]
    one_pass = engine_for(pair, "one-pass", batch=11)
    assert one_pass.capabilities.mixes_recipes
    mixed = run(one_pass, requests)
    in_place = run(engine_for(pair, "in-place", batch=4), requests)
    for at, recipe in enumerate(RECIPES):
        model = merged_model(pair, recipe)
        for number, prompt in enumerate(questions):
            expected = generated(model, prompt, 6 + 5 * number)
            assert with_end(in_place[10 * at + number]) == expected, recipe.label
            assert with_end(mixed[10 * at + number]) == expected, recipe.label


@pytest.mark.parametrize("family", ["qwen3", "llama"])
@pytest.mark.parametrize("tie", [False, True])
def test_tied_and_untied_heads(family: str, tie: bool, tmp_path: Path) -> None:
    pair = tiny_pair(family, tmp_path, tie=tie)
    recipe = Recipe(lambda_=0.6, scope=Scope(modules=(ModuleKind.HEAD,)), decoding=GREEDY)
    other = Recipe(lambda_=0.6, scope=Scope(modules=(ModuleKind.EMBEDDINGS,)), decoding=GREEDY)
    questions = prompts(2, seed=4)
    requests = [
        Request(2 * at + number, recipe, prompt, 0, 12)
        for at, recipe in enumerate([recipe, other])
        for number, prompt in enumerate(questions)
    ]
    done = run(engine_for(pair, "one-pass"), requests)
    for request in requests:
        expected = generated(merged_model(pair, request.recipe), request.prompt, 12)
        assert with_end(done[request.id]) == expected


def test_sliding_windows_shorter_than_the_response(tmp_path: Path) -> None:
    pair = tiny_pair("gemma3", tmp_path)
    for path in pair:
        config = json.loads((path / "config.json").read_text())
        config["sliding_window"] = 6
        (path / "config.json").write_text(json.dumps(config))
    recipe = Recipe(lambda_=0.5, decoding=GREEDY)
    questions = prompts(4, seed=1, longest=20)
    requests = [Request(n, recipe, prompt, 0, 24) for n, prompt in enumerate(questions)]
    done = run(engine_for(pair, "one-pass"), requests)
    model = merged_model(pair, recipe)
    for number, prompt in enumerate(questions):
        assert with_end(done[number]) == generated(model, prompt, 24)


@pytest.mark.parametrize("method", [m.name for m in METHODS if not m.is_linear])
def test_baselines_equal_their_exported_merge(method: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from mi_tui.checkpoints.merging.write import merge

    pair = tiny_pair("qwen3", tmp_path, base=True)
    suggested = {p.name: p.suggested for p in METHODS[method].parameters}
    lambda_ = 0.4 if METHODS[method].takes_lambda else None
    baseline = Recipe(method=method, lambda_=lambda_, decoding=GREEDY, **suggested)
    questions = prompts(3, seed=2)
    mixture = Recipe(lambda_=0.4, decoding=GREEDY)
    requests = [
        Request(10 * at + number, recipe, prompt, 0, 16)
        for at, recipe in enumerate([mixture, baseline, RECIPES[2]])
        for number, prompt in enumerate(questions)
    ]
    files = Pair(instruct=str(pair[0]), thinking=str(pair[1]), base=str(pair[2]))
    merge(baseline, files, tmp_path / "merged", dtype="float32")
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    for mode in ("in-place", "one-pass"):
        done = run(engine_for(pair, mode), requests)
        for number, prompt in enumerate(questions):
            assert with_end(done[10 + number]) == generated(exported, prompt, 16)
            for at, recipe in ((0, mixture), (20, RECIPES[2])):
                expected = generated(merged_model(pair, recipe), prompt, 16)
                assert with_end(done[at + number]) == expected
