"""Nine λ in one vLLM against nine vLLM passes, on a pair of the shape of Qwen3-0.6B.

``python -m benchmarks.vllm_one_pass [--k 1 4 16] [--tokens 16] [--threads 2] [--folder FOLDER]``

Needs vLLM (``make test-vllm`` sets up ``.venv-vllm`` with the CPU build), 3 GB of disk and 6 GB of
memory. The weights are random, in bf16; nothing is downloaded. All layers and the whole vocabulary
of the 0.6 B model; prompts of 32 tokens and responses of 16, which is short, so that K = 1, 4 and
16 take minutes on two cores. Every request generates the same number of tokens.

*One pass* is nine λ × K requests together in the engine. *Nine passes* is nine times K requests in
a vLLM that knows nothing of us, with the plain Instruct model, as if nine merged models lay ready.
*With switching* adds nine times the seconds in which this engine writes another merge into a
running vLLM (the mean of two), which is quicker than a start of vLLM for each merge.

Wall-clock seconds, each measured once after a short warm-up: run it on a quiet machine.
"""

import argparse
import contextlib
import functools
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.merge_pair import write_pair
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine, Request
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe

LAMBDAS = tuple(at / 8 for at in range(9))
_PROMPT_TOKENS = 32
_VOCABULARY = 151936
_SWITCHED = (0.3, 0.7)

Prompts = list[tuple[int, ...]]


def prompts(count: int, seed: int) -> Prompts:
    drawn = random.Random(seed)
    return [
        tuple(drawn.randrange(3, _VOCABULARY) for _ in range(_PROMPT_TOKENS)) for _ in range(count)
    ]


def seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def finish(engine: Engine, requests: Sequence[Request]) -> None:
    engine.add(requests)
    while engine.pending:
        engine.step(1.0)


def one_pass(engine: Engine, ks: Sequence[int], tokens: int) -> list[float]:
    def run(k: int, most: int, seed: int) -> None:
        asked = prompts(k, seed)
        finish(
            engine,
            [
                Request(1000 * at + n, Recipe(lambda_=lambda_, decoding=Decoding()), p, n, most)
                for at, lambda_ in enumerate(LAMBDAS)
                for n, p in enumerate(asked)
            ],
        )

    run(1, 2, seed=0)
    return [seconds(functools.partial(run, k, tokens, k)) for k in ks]


def switch(engine: Engine) -> float:
    """Seconds of a request that needs other weights, less those of the same one again."""

    def ask(lambda_: float) -> None:
        (prompt,) = prompts(1, seed=0)
        finish(engine, [Request(0, Recipe(lambda_=lambda_), prompt, 0, 1, as_exported=True)])

    switching = [seconds(functools.partial(ask, at)) for at in _SWITCHED]
    staying = seconds(lambda: ask(_SWITCHED[-1]))
    return max(0.0, sum(switching) / len(switching) - staying)


def nine_passes(plan: EnginePlan, folder: Path, ks: Sequence[int], tokens: int) -> list[float]:
    from vllm.platforms import current_platform

    from mi_tui.engines.vllm.arguments import engine_arguments
    from mi_tui.engines.vllm.client import Client

    arguments = engine_arguments(
        plan, folder, None, on_cpu=current_platform.is_cpu(), trust_remote_code=False
    )
    client = Client(arguments)
    sampling = {"temperature": 0.6, "top_p": 0.95, "ignore_eos": True, "detokenize": False}

    def run(k: int, most: int, seed: int) -> None:
        asked = prompts(k, seed)
        for lambda_ in LAMBDAS:
            for n, prompt in enumerate(asked):
                client.submit(n, prompt, f"{lambda_}", {**sampling, "max_tokens": most, "seed": n})
            while client.running:
                client.collect(1.0)

    with contextlib.closing(client):
        run(1, 2, seed=0)
        return [seconds(functools.partial(run, k, tokens, k)) for k in ks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the pair is, or is to be written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "pair"
        if not folder.exists():
            write_pair(folder)
        instruct, thinking = folder / "instruct", folder / "thinking"
        plan = EnginePlan(kind="vllm", dtype="bfloat16", batch=256, threads=options.threads)
        engine = open_engine(plan, Pair(instruct=str(instruct), thinking=str(thinking)))
        with contextlib.closing(engine):
            note = engine.capabilities.note
            mixed = one_pass(engine, options.k, options.tokens)
            switching = len(LAMBDAS) * switch(engine)
        plain = nine_passes(plan, instruct, options.k, options.tokens)
    print(f"{note}; {options.tokens} tokens a request, {options.threads} threads; ", end="")
    print(f"a switch of weights takes {switching / len(LAMBDAS):.1f} s\n")
    print("| K | one pass, s | nine passes, s | with switching, s | ratio | with switching |")
    print("|---|---|---|---|---|---|")
    for k, ours, theirs in zip(options.k, mixed, plain, strict=True):
        whole = theirs + switching
        row = f"| {k} | {ours:.1f} | {theirs:.1f} | {whole:.1f} "
        print(f"{row}| {theirs / ours:.2f} | {whole / ours:.2f} |")


if __name__ == "__main__":
    main()
