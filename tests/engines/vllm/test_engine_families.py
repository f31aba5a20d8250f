"""Other architectures in a real vLLM: biases, ``1 + w`` norms, stacked projections, experts."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, Request
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import LayerRange, ModuleKind, Scope
from tests.engines.support import GREEDY, generated, merged_model, prompts, run, with_end
from tests.engines.vllm.pairs import tiny_vllm_pair

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

RECIPES = (
    Recipe(lambda_=0.0, decoding=GREEDY),
    Recipe(lambda_=0.3, decoding=GREEDY),
    Recipe(lambda_=1.0, decoding=GREEDY),
    Recipe(lambda_=0.8, scope=Scope(layers=(LayerRange(first=1, last=2),)), decoding=GREEDY),
    Recipe(
        lambda_=0.8,
        scope=Scope(modules=(ModuleKind.FFN, ModuleKind.NORMS, ModuleKind.EMBEDDINGS)),
        decoding=GREEDY,
    ),
)


def assert_merged(engine: Engine, pair: tuple[Path, Path]) -> None:
    questions = [tuple(3 + token % 80 for token in prompt) for prompt in prompts(5, longest=40)]
    pairs = [(recipe, prompt) for prompt in questions for recipe in RECIPES]
    asked = [Request(at, recipe, prompt, 0, 12) for at, (recipe, prompt) in enumerate(pairs)]
    done = run(engine, asked)
    for recipe in RECIPES:
        model = merged_model(pair, recipe)
        for request in asked:
            if request.recipe == recipe:
                expected = generated(model, request.prompt, 12)
                assert with_end(done[request.id]) == expected, recipe.label


@pytest.mark.parametrize(
    ("family", "one_pass"),
    [
        ("qwen2", True),
        ("llama", True),
        ("gemma2", True),
        ("gemma3", True),
        ("phi3", True),
        ("qwen3_moe", False),
    ],
)
def test_responses_are_those_of_the_merged_models(
    family: str, one_pass: bool, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(demo_pair_folder() / "instruct")
    pair = tiny_vllm_pair(family, tmp_path, tokenizer)
    plan = EnginePlan(kind="vllm", threads=1, batch=32)
    engine = open_engine(plan, Pair(instruct=str(pair[0]), thinking=str(pair[1])))
    try:
        assert engine.capabilities.mixes_recipes == one_pass, engine.capabilities.note
        check = engine.self_check()
        assert check.passed, check.message
        assert engine.capabilities.mixes_recipes == one_pass, engine.capabilities.note
        assert_merged(engine, pair)
    finally:
        engine.close()
