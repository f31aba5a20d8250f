"""Responses of a study's engine beside those of merged checkpoints in plain transformers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, Request
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import ModuleKind, Scope
from tests.families.pair import auto_class

TOKENS = 24
_END = 2
_LENGTHS = (3, 11, 29, 40)
"""Tokens of the prompts: shorter and longer than the windows and chunks of the configs."""

_TIE = 1e-5
"""The share of the largest logit by which two tokens may differ and still count as a tie."""

_GREEDY = Decoding(temperature=0)
RECIPES = (
    Recipe(lambda_=0.37, decoding=_GREEDY),
    Recipe(lambda_=0.8, scope=Scope(modules=(ModuleKind.FFN,)), decoding=_GREEDY),
    Recipe(
        lambda_=0.8,
        scope=Scope(modules=(ModuleKind.ROUTER, ModuleKind.ATTENTION)),
        decoding=_GREEDY,
    ),
)


@dataclass(frozen=True, slots=True)
class Response:
    """What plain transformers generates: tokens, and how far the best token leads at each."""

    tokens: list[int]
    leads: list[float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine did with a pair: its own words, and how many responses were not equal."""

    note: str
    mixes: bool
    check: str
    differing: int
    responses: int


def prompts() -> list[tuple[int, ...]]:
    """Random prompts of the demo pair's tokens."""
    rng = random.Random(0)
    return [tuple(rng.randrange(6, 110) for _ in range(length)) for length in _LENGTHS]


def references(sides: Sequence[Path], folder: Path, recipes: Sequence[Recipe]) -> list[Response]:
    """Merge each recipe and let plain transformers respond, prompt by prompt."""
    pair = Pair(instruct=str(sides[0]), thinking=str(sides[1]))
    found = []
    for at, recipe in enumerate(recipes):
        merged = folder / f"merged-{at}"
        merge(recipe, pair, merged, dtype="float32")
        found += [_response(_plain_model(merged), prompt) for prompt in prompts()]
    return found


def engine_outcome(
    sides: Sequence[Path],
    recipes: Sequence[Recipe],
    expected: Sequence[Response],
    mode: Literal["auto", "one-pass", "in-place"],
) -> Outcome:
    """Let the engine respond to all prompts of all recipes at once, fewer rows than requests."""
    plan = EnginePlan(mode=mode, device="cpu", dtype="float32", batch=5, threads=1)
    engine = open_engine(plan, Pair(instruct=str(sides[0]), thinking=str(sides[1])))
    check = engine.self_check()
    asked = [(recipe, prompt) for recipe in recipes for prompt in prompts()]
    engine.add(
        Request(id=at, recipe=recipe, prompt=prompt, seed=0, max_new_tokens=TOKENS)
        for at, (recipe, prompt) in enumerate(asked)
    )
    done: dict[int, Completion] = {}
    while engine.pending:
        done |= {one.request_id: one for one in engine.step(0.5)}
    differing = sum(not _equal(done[at], one) for at, one in enumerate(expected))
    found = engine.capabilities
    engine.close()
    words = f"{'passed' if check.passed else 'FAILED'}: {check.message}"
    return Outcome(found.note, found.mixes_recipes, words, differing, len(asked))


def _plain_model(folder: Path) -> Any:
    from transformers import AutoConfig

    model = auto_class(AutoConfig.from_pretrained(folder)).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval()


def _response(model: Any, prompt: Sequence[int]) -> Response:
    ids = torch.tensor([list(prompt)])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=TOKENS,
        eos_token_id=_END,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    leads = []
    for logits in output.logits:
        best, second = logits[0].float().topk(2).values.tolist()
        leads.append((best - second) / float(logits[0].abs().max()))
    return Response(output.sequences[0, len(prompt) :].tolist(), leads)


def _equal(completion: Completion, reference: Response) -> bool:
    """Whether all tokens are equal, up to the first tie."""
    end = [_END] if completion.finish_reason == "stop" else []
    made = [*completion.tokens, *end]
    for mine, theirs, lead in zip(made, reference.tokens, reference.leads, strict=False):
        if mine != theirs:
            return lead < _TIE
    return len(made) == len(reference.tokens)
