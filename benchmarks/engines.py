"""Nine λ × K problems on the demo pair: one pass, in place, the engine's choice, and generate.

``python benchmarks/engines.py [--k 1 2 4 …] [--threads 1] [--cap 64]``

Every way answers the same prompts with the same decoding and cap. *sequential* is what one writes
without this engine: for each λ a merged model in memory and one batched ``model.generate``, left
padded, all K prompts at once; building the merged models is not counted. On one thread the times
are processor times, so that other work on the machine does not count. Every repeat asks other
problems, more of them for a small K, and the table has the sums; lengths differ by chance between
it and ours (other random numbers), so seconds per 1,000 tokens are compared.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mi_tui.checkpoints.locate import locate
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, Request
from mi_tui.engines.transformers.decoding.timing import own_clock
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.probes.kinds.arithmetic import held_out_chains

PAIR = Pair(instruct="bundled:instruct", thinking="bundled:thinking")
CPU = torch.device("cpu")
LAMBDAS = tuple(at / 8 for at in range(9))
DECODING = Decoding()
_PROBLEMS = 12


@dataclass(frozen=True)
class Run:
    seconds: float
    tokens: int

    def __str__(self) -> str:
        return f"{self.seconds:.2f} ({1000 * self.seconds / self.tokens:.2f})"


def questions(count: int, seed: int = 7) -> list[str]:
    return [chain.prompt for chain in held_out_chains(seed, count, (2, 3, 4, 5))]


def by_engine(engine: Engine, texts: Sequence[str], cap: int) -> Run:
    prompts = [engine.encode(engine.render([{"role": "user", "content": t}])) for t in texts]
    requests = [
        Request(1000 * at + n, Recipe(lambda_=lambda_, decoding=DECODING), prompt, n, cap)
        for at, lambda_ in enumerate(LAMBDAS)
        for n, prompt in enumerate(prompts)
    ]
    started, tokens = own_clock(CPU), 0
    engine.add(requests)
    while engine.pending:
        tokens += sum(c.token_count for c in engine.step(1.0))
    return Run(own_clock(CPU) - started, tokens)


def loaded(reference: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(locate(reference).path, dtype=torch.float32)


def merged_models(lambdas: Sequence[float]) -> list[Any]:
    theirs = dict(loaded(PAIR.thinking).named_parameters())
    merged = []
    for lambda_ in lambdas:
        model = loaded(PAIR.instruct)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(mix(parameter.clone(), theirs[name], lambda_))
        merged.append(model)
    return merged


def by_generate(models: Sequence[Any], texts: Sequence[str], cap: int) -> Run:
    tokenizer = AutoTokenizer.from_pretrained(locate(PAIR.thinking).path, padding_side="left")
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        for text in texts
    ]
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
    width = batch["input_ids"].shape[1]
    ends = models[0].generation_config.eos_token_id
    ends = torch.tensor(ends if isinstance(ends, list) else [ends])
    started, tokens = own_clock(CPU), 0
    for model in models:
        made = model.generate(
            **batch,
            do_sample=True,
            temperature=DECODING.temperature,
            top_p=DECODING.top_p,
            top_k=0,
            max_new_tokens=cap,
        )[:, width:]
        ended = torch.isin(made, ends)
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, made.shape[1])
        tokens += int(lengths.sum())
    return Run(own_clock(CPU) - started, tokens)


def engine_for(mode: Literal["auto", "one-pass", "in-place"], threads: int) -> Engine:
    engine = open_engine(EnginePlan(mode=mode, device="cpu", threads=threads), PAIR)
    by_engine(engine, questions(2), 8)
    return engine


def total(runs: Sequence[Run]) -> Run:
    return Run(sum(run.seconds for run in runs), sum(run.tokens for run in runs))


def rate(run: Run) -> float:
    return run.seconds / run.tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cap", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    models = merged_models(LAMBDAS)
    engines = {
        "one pass": engine_for("one-pass", given.threads),
        "in place": engine_for("in-place", given.threads),
        "auto": engine_for("auto", given.threads),
    }
    by_generate(models[:1], questions(2), 8)
    print("seconds (per 1,000 tokens)")
    print(
        "| K | one pass | in place | auto | sequential generate | one pass vs sequential "
        "| auto / best |"
    )
    print("|---|---|---|---|---|---|---|")
    for k in given.k:
        runs: dict[str, list[Run]] = {}
        for at in range(max(given.repeats, _PROBLEMS // k)):
            texts = questions(k, 7 + at)
            # Ways take turns, so that a busy moment hits them all.
            for name, engine in engines.items():
                runs.setdefault(name, []).append(by_engine(engine, texts, given.cap))
            runs.setdefault("sequential", []).append(by_generate(models, texts, given.cap))
        row = {name: total(found) for name, found in runs.items()}
        gain = rate(row["sequential"]) / rate(row["one pass"])
        choice = rate(row["auto"]) / min(rate(row["one pass"]), rate(row["in place"]))
        cells = " | ".join(map(str, row.values()))
        print(f"| {k} | {cells} | {gain:.1f} × | {choice:.2f} |", flush=True)


if __name__ == "__main__":
    main()
