"""Thinking cut at a cap: by hand in plain transformers, and through an engine."""

from collections.abc import Sequence
from typing import Any

from mi_tui.engines.protocol import Completion, Engine, Request
from mi_tui.engines.thinking_cap import CappedThinking
from mi_tui.plan.recipe import Recipe, capped_thinking
from mi_tui.plan.thinking_tags import THINK
from tests.engines.support import END, GREEDY, generated

PROBLEMS = ("47*6+5-8", "3+4", "81-9*7+2", "5*5", "12+7*3-4", "90-2-3-4-5")
MOST = 160
CAPS = (9, 24, 60)
RECIPES = (
    Recipe(lambda_=1.0, decoding=GREEDY),
    Recipe(lambda_=0.55, decoding=GREEDY),
    *(capped_thinking(cap, GREEDY) for cap in CAPS),
)


def rendered(engine: Engine) -> list[str]:
    texts = [f"Compute {problem} mod 100" for problem in PROBLEMS]
    return [engine.render([{"role": "user", "content": text}]) for text in texts]


def asked(engine: Engine, recipes: Sequence[Recipe]) -> tuple[list[Request], dict[int, str]]:
    """A request for every recipe and prompt, and the prompts' texts by request."""
    pairs = [(recipe, prompt) for prompt in rendered(engine) for recipe in recipes]
    requests = [
        Request(at, recipe, engine.encode(prompt), 10 * at, MOST)
        for at, (recipe, prompt) in enumerate(pairs)
    ]
    return requests, {at: prompt for at, (_, prompt) in enumerate(pairs)}


def run_capped(
    engine: Engine, requests: Sequence[Request], prompts: dict[int, str]
) -> dict[int, Completion]:
    """All completions by request id."""
    capped = CappedThinking(engine, (THINK,))
    capped.add(requests, prompts)
    done: dict[int, Completion] = {}
    while engine.pending:
        for completion in capped.step(0.2):
            assert completion.request_id not in done
            done[completion.request_id] = completion
    return done


def by_hand(model: Any, engine: Engine, prompt: Sequence[int], cap: int) -> list[int]:
    """The greedy response of a plain model whose thought is closed after ``cap`` tokens."""
    (closing,) = engine.encode("</think>")
    thought = generated(model, prompt, cap)
    if thought[-1] == END:
        return thought
    if closing in thought:
        return generated(model, prompt, MOST)
    begun = [*thought, closing]
    return begun + generated(model, [*prompt, *begun], MOST - len(begun))
