"""Tokens per second of one merged model: the engine against plain generate, each at its best batch.

``python -m benchmarks.single [--batches 16 32 64 128] [--problems 256] [--threads 1]``

Two kinds of work, λ = 1 on the demo pair. *Problems*: responses as long as they come, up to the
cap; *generate* takes the problems in batches, left padded, and each batch lasts as long as its
longest response. *Fixed*: as many responses as sequences, all of the same number of tokens, so that
nothing but the loop itself is compared. On one thread the times are processor times.
"""

import argparse
from collections import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import GenerationConfig

from benchmarks.engines import CPU, DECODING, PAIR, Run, merged_models, questions
from benchmarks.engines import by_generate as generate_once
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, Request
from mi_tui.engines.transformers.decoding.decoder import Decoder
from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.decoding.timing import own_clock
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.recipe import Recipe

RECIPE = Recipe(lambda_=1.0, decoding=DECODING)
PROMPT_TOKENS = 16


def problems_by_engine(engine: Engine, texts: abc.Sequence[str], cap: int) -> Run:
    prompts = [engine.encode(engine.render([{"role": "user", "content": t}])) for t in texts]
    requests = [Request(n, RECIPE, prompt, n, cap) for n, prompt in enumerate(prompts)]
    started, tokens = own_clock(CPU), 0
    engine.add(requests)
    while engine.pending:
        tokens += sum(done.token_count for done in engine.step(1.0))
    return Run(own_clock(CPU) - started, tokens)


def problems_by_generate(model: Any, texts: abc.Sequence[str], cap: int, batch: int) -> Run:
    runs = [
        generate_once([model], texts[at : at + batch], cap) for at in range(0, len(texts), batch)
    ]
    return Run(sum(run.seconds for run in runs), sum(run.tokens for run in runs))


def random_prompts(count: int, vocabulary: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    drawn: list[list[int]] = torch.randint(
        vocabulary, (count, PROMPT_TOKENS), generator=generator
    ).tolist()
    return drawn


def fixed_by_engine(weights: InPlaceWeights, sequences: int, tokens: int, vocabulary: int) -> Run:
    asked = [
        Sequence(Request(at, RECIPE, tuple(prompt), at, tokens), 0)
        for at, prompt in enumerate(random_prompts(sequences, vocabulary))
    ]
    decoder = Decoder(weights, capacity=sequences, end_tokens=(), device=CPU)
    started = own_clock(CPU)
    decoder.admit(asked)
    while decoder.sequences:
        decoder.step()
        decoder.collect()
    return Run(own_clock(CPU) - started, sequences * tokens)


def fixed_by_generate(model: Any, sequences: int, tokens: int, vocabulary: int) -> Run:
    ids = torch.tensor(random_prompts(sequences, vocabulary))
    # transformers gives it no types.
    endless = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=DECODING.temperature,
        top_p=DECODING.top_p,
        top_k=0,
        max_new_tokens=tokens,
        pad_token_id=0,
    )
    kept, model.generation_config = model.generation_config, endless
    started = own_clock(CPU)
    made = model.generate(ids, attention_mask=torch.ones_like(ids))
    seconds = own_clock(CPU) - started
    model.generation_config = kept
    return Run(seconds, made[:, PROMPT_TOKENS:].numel())


def rate(runs: abc.Sequence[Run]) -> float:
    """Tokens per second of the best run."""
    return max(run.tokens / run.seconds for run in runs)


def in_turn(strategies: dict[str, Callable[[], Run]], repeats: int) -> dict[str, float]:
    runs: dict[str, list[Run]] = {}
    for _ in range(repeats):  # ways take turns, so that a busy moment hits them all
        for name, strategy in strategies.items():
            runs.setdefault(name, []).append(strategy())
    return {name: rate(found) for name, found in runs.items()}


def report(kind: str, ours: dict[int, float], theirs: dict[int, float]) -> None:
    best, other = max(ours, key=ours.__getitem__), max(theirs, key=theirs.__getitem__)
    print(
        f"{kind}, each at its best batch: engine {ours[best]:,.0f} tokens/s ({best} rows), "
        f"generate {theirs[other]:,.0f} ({other} rows): {ours[best] / theirs[other]:.2f} ×",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128, 256])
    parser.add_argument("--problems", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--cap", type=int, default=320)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    (model,) = merged_models([1.0])
    texts = questions(given.problems)
    pair_tensors = PairTensors.load(PAIR, dtype=torch.float32, device=CPU)
    recipes = RecipeIds()
    recipes.number(RECIPE)
    weights = InPlaceWeights(pair_tensors, recipes, PAIR)
    top = pair_tensors.vocabulary
    tables: dict[str, tuple[dict[int, float], dict[int, float]]] = {}
    print(
        "tokens/s\n| work | sequences | engine | generate | engine / generate |\n"
        "|---|---|---|---|---|"
    )
    for batch in given.batches:
        plan = EnginePlan(mode="in-place", device="cpu", threads=given.threads, batch=batch)
        engine = open_engine(plan, PAIR)
        strategies: dict[str, dict[str, Callable[[], Run]]] = {
            "problems": {
                "engine": partial(problems_by_engine, engine, texts, given.cap),
                "generate": partial(problems_by_generate, model, texts, given.cap, batch),
            },
            "fixed": {
                "engine": partial(fixed_by_engine, weights, batch, given.tokens, top),
                "generate": partial(fixed_by_generate, model, batch, given.tokens, top),
            },
        }
        for kind, two in strategies.items():
            found = in_turn(two, given.repeats)
            ours, theirs = found["engine"], found["generate"]
            mine, other = tables.setdefault(kind, ({}, {}))
            mine[batch], other[batch] = ours, theirs
            print(
                f"| {kind} | {batch} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f} × |",
                flush=True,
            )
        engine.close()
    for kind, (mine, other) in tables.items():
        report(kind, mine, other)


if __name__ == "__main__":
    main()
