"""Nine λ in one vLLM against nine plain vLLM passes, on a pair of the shape of Qwen3-0.6B.

``python -m benchmarks.vllm_one_pass [--k 1 4 16] [--tokens 32] [--threads 2] [--folder FOLDER]``

Needs vLLM (``make test-vllm`` sets up ``.venv-vllm`` with the CPU build), 3 GB of disk and 6 GB of
memory. The weights are random, in bf16; nothing is downloaded. *One pass* is nine λ × K requests
together in the engine. *Nine passes* is nine times K requests in a vLLM that knows nothing of us,
with the plain Instruct model: the time to switch nine models is not counted. Every request
generates the same number of tokens. Wall-clock seconds, the best of two: run it on a quiet machine.
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
from mi_tui.plan.preset import EnginePlan, Pair
from mi_tui.plan.recipe import Decoding, Recipe

LAMBDAS = tuple(at / 8 for at in range(9))
_PROMPT_TOKENS = 32
_VOCABULARY = 151936
_REPEATS = 2

Prompts = list[tuple[int, ...]]


def prompts(count: int, seed: int) -> Prompts:
    drawn = random.Random(seed)
    return [
        tuple(drawn.randrange(3, _VOCABULARY) for _ in range(_PROMPT_TOKENS)) for _ in range(count)
    ]


def best(run: Callable[[int], None]) -> float:
    """Seconds of the fastest repeat, after one to warm up."""
    seconds = []
    for repeat in range(_REPEATS + 1):
        started = time.perf_counter()
        run(repeat)
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def one_pass(engine: Engine, k: int, tokens: int) -> float:
    def run(repeat: int) -> None:
        asked = prompts(k, seed=100 * k + repeat)
        engine.add(
            Request(1000 * at + n, Recipe(lambda_=lambda_, decoding=Decoding()), p, n, tokens)
            for at, lambda_ in enumerate(LAMBDAS)
            for n, p in enumerate(asked)
        )
        while engine.pending:
            engine.step(1.0)

    return best(run)


def nine_passes(plan: EnginePlan, folder: Path, ks: Sequence[int], tokens: int) -> list[float]:
    from vllm.platforms import current_platform

    from mi_tui.engines.vllm.arguments import engine_arguments
    from mi_tui.engines.vllm.client import Client

    arguments = engine_arguments(
        plan, folder, None, on_cpu=current_platform.is_cpu(), trust_remote_code=False
    )
    client = Client(arguments)
    sampling = {"temperature": 0.6, "top_p": 0.95, "max_tokens": tokens, "ignore_eos": True}

    def run(k: int, repeat: int) -> None:
        asked = prompts(k, seed=100 * k + repeat)
        for lambda_ in LAMBDAS:
            for n, prompt in enumerate(asked):
                client.submit(n, prompt, f"{lambda_}", {**sampling, "seed": n, "detokenize": False})
            while client.running:
                client.collect(1.0)

    with contextlib.closing(client):
        return [best(functools.partial(run, k)) for k in ks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--tokens", type=int, default=32)
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
            mixed = [one_pass(engine, k, options.tokens) for k in options.k]
        plain = nine_passes(plan, instruct, options.k, options.tokens)
    print(f"{note}; {options.tokens} tokens a request, {options.threads} threads\n")
    print("| K | one pass, s | nine passes, s | nine passes / one pass |\n|---|---|---|---|")
    for k, ours, theirs in zip(options.k, mixed, plain, strict=True):
        print(f"| {k} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.2f} |")


if __name__ == "__main__":
    main()
