"""Engines over tiny random pairs, and what the merged checkpoints say by themselves."""

import copy
import random
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from mi_tui.checkpoints.roles import role_of
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, Engine, Request
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe

GREEDY = Decoding(temperature=0)
END = 2


def engine_for(
    pair: Sequence[Path], mode: Literal["auto", "one-pass", "in-place"] = "in-place", batch: int = 6
) -> Engine:
    """An engine on one CPU thread in float32."""
    plan = EnginePlan(mode=mode, device="cpu", dtype="float32", batch=batch, threads=1)
    base = str(pair[2]) if len(pair) > 2 else None
    return open_engine(plan, Pair(instruct=str(pair[0]), thinking=str(pair[1]), base=base))


def prompts(count: int, seed: int = 0, longest: int = 12) -> list[tuple[int, ...]]:
    """Random prompts of different lengths."""
    rng = random.Random(seed)
    lengths = [rng.randrange(1, longest + 1) for _ in range(count)]
    return [tuple(rng.randrange(3, 96) for _ in range(length)) for length in lengths]


def run(engine: Engine, requests: Iterable[Request]) -> dict[int, Completion]:
    """All completions by request id."""
    engine.add(requests)
    done: dict[int, Completion] = {}
    while engine.pending:
        for completion in engine.step(0.2):
            assert completion.request_id not in done
            done[completion.request_id] = completion
    return done


def with_end(completion: Completion) -> list[int]:
    """The completion's tokens with the end token, as ``generate`` returns them."""
    end = [END] if completion.finish_reason == "stop" else []
    return [*completion.tokens, *end]


@lru_cache(maxsize=2)
def plain_model(path: Path) -> Any:
    """A checkpoint in plain transformers; not to be changed."""
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    model.eval()
    return model


def merged_model(pair: Sequence[Path], recipe: Recipe) -> Any:
    """The merged model by itself, in plain transformers with its own attention."""
    model = copy.deepcopy(plain_model(pair[0]))
    others = dict(plain_model(pair[1]).named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            role = role_of(name)
            lambda_ = recipe.lambda_at(role.layer, role.kind)
            parameter.copy_(mix(parameter.clone(), others[name], lambda_))
    return model


def generated(model: Any, prompt: Sequence[int], most: int) -> list[int]:
    """Greedy tokens by transformers' own ``generate``."""
    output = model.generate(
        torch.tensor([list(prompt)]),
        do_sample=False,
        max_new_tokens=most,
        eos_token_id=END,
        pad_token_id=0,
    )
    tokens: list[int] = output[0, len(prompt) :].tolist()
    return tokens
