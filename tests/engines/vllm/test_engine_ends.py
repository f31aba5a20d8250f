"""A pair whose generation config, tokenizer and chat template name different ends of a response.

vLLM and transformers both stop at whichever comes first, and both say what plain transformers says
of the merged model when it is given all of these ends.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mi_tui.checkpoints.tokenizer import read_end_tokens
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, Request
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.weights import change_json
from tests.engines.support import GREEDY, merged_model, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

CONFIGURED, TOKENIZER, TEMPLATE = 22, 9, 2
"""The digit 9, the word that begins a second thought, and the end of a turn."""

ENDS = {0, CONFIGURED, TOKENIZER, TEMPLATE}
MOST = 200
RECIPES = tuple(Recipe(lambda_=at, decoding=GREEDY) for at in (0.0, 0.55, 1.0))
PROBLEMS = ("3+4", "47*6+5-8", "2*3+2-4+6", "12+7*3-4", "90-2-3-4-5", "5*5", "1+1+1", "8*8")


@pytest.fixture
def sides(tmp_path: Path) -> list[Path]:
    """Copies of the bundled pair in which nobody names the same end."""
    copies = [tmp_path / side for side in ("instruct", "thinking")]
    for copy in copies:
        shutil.copytree(demo_pair_folder() / copy.name, copy)
        change_json(copy / "generation_config.json", eos_token_id=[0, CONFIGURED])
        change_json(copy / "tokenizer_config.json", eos_token="Wait,")
    return copies


def responses(kind: str, pair: Pair) -> tuple[list[Request], dict[int, Completion]]:
    """What an engine answers, in one batch of all recipes."""
    engine = open_engine(EnginePlan(kind=kind, threads=1, dtype="float32", batch=64), pair)
    try:
        texts = [f"Compute {problem} mod 100" for problem in PROBLEMS]
        prompts = [engine.encode(engine.render([{"role": "user", "content": t}])) for t in texts]
        pairs = [(recipe, prompt) for recipe in RECIPES for prompt in prompts]
        asked = [Request(n, recipe, prompt, 0, MOST) for n, (recipe, prompt) in enumerate(pairs)]
        return asked, run(engine, asked)
    finally:
        engine.close()


def plain(model: Any, prompt: tuple[int, ...]) -> list[int]:
    output = model.generate(
        torch.tensor([list(prompt)]),
        do_sample=False,
        max_new_tokens=MOST,
        eos_token_id=sorted(ENDS),
        pad_token_id=0,
    )
    tokens: list[int] = output[0, len(prompt) :].tolist()
    return tokens


def test_both_engines_stop_at_every_end_that_anyone_names(sides: list[Path]) -> None:
    named = read_end_tokens(sides[1])
    assert named.configured == {0, CONFIGURED}
    assert named.tokenizer == {TOKENIZER}
    assert named.template == {TEMPLATE}
    assert named.disagreement
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]))
    asked, ours = responses("transformers", pair)
    _, vllm = responses("vllm", pair)
    stopped_at = set()
    for recipe in RECIPES:
        model = merged_model(sides, recipe)
        for request in asked:
            if request.recipe != recipe:
                continue
            *body, last = plain(model, request.prompt)
            stopped_at.add(last)
            for done in (ours[request.id], vllm[request.id]):
                assert list(done.tokens) == body, recipe.label
                assert done.finish_reason == "stop"
                assert done.token_count == len(body) + 1
    assert stopped_at == {CONFIGURED, TOKENIZER, TEMPLATE}
