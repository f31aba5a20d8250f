"""A load on ``mi-tui serve``: many streams with random λ, each answer checked, and two references.

``python -m benchmarks.serve_load [--seconds 120] [--streams 64] [--tokens 48]``

Needs vLLM (``make test-serve`` sets up ``.venv-vllm`` with the CPU build) and the bundled pair;
nothing is downloaded. Three loads over loopback, each of as many streams as said, which ask one
question after the other until the time is over, greedily and for the same number of tokens:

* *random λ*: each request names one of 11 λ, drawn at random;
* *one λ*: the same server, every request at λ = 0.5;
* *merged*: plain vLLM on the merged checkpoint of λ = 0.5, without Δ.

Every answer is compared with that of its λ's merged model in plain transformers. Both servers and
the client share the machine, and the loads take turns of ten seconds. Beside the tokens a second
stand the server's processor seconds for 1,000 tokens, which other work disturbs less.
"""

import argparse
import asyncio
import json
import logging
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import torch
from transformers import AutoTokenizer

from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from tests.engines.support import merged_model
from tests.serve.live import PAIR, a_preset, plain, serving

LAMBDAS = tuple(round(at / 10, 2) for at in range(11))
ONE = 0.5
QUESTIONS = tuple(
    f"Compute {a}*{b}+{a + b} mod 100" for a, b in zip(range(3, 9), range(7, 13), strict=True)
)
_SLICE_SECONDS = 10.0


@dataclass
class Tally:
    """What came back, what was wrong, the server's processor seconds, and each answer's seconds."""

    answers: int = 0
    tokens: int = 0
    wrong: int = 0
    errors: int = 0
    processor: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def processor_rate(self) -> float:
        """Processor seconds for 1,000 tokens."""
        return 1000 * self.processor / self.tokens

    def line(self, name: str, seconds: float) -> str:
        waits = sorted(self.waits)
        return (
            f"{name:<10} {self.answers:>7,} answers  {self.tokens / seconds:>7,.0f} tokens/s  "
            f"{self.processor_rate:.2f} processor s / 1,000  "
            f"p50 {waits[len(waits) // 2]:.2f} s  p95 {waits[int(0.95 * len(waits))]:.2f} s  "
            f"{self.wrong} wrong  {self.errors} errors"
        )


class Expected:
    """The greedy tokens of merged models, as text, whatever ends them."""

    def __init__(self, tokens: int) -> None:
        self._tokenizer: Any = AutoTokenizer.from_pretrained(PAIR[1])
        self.tokens = tokens
        self.texts: dict[tuple[float, str], str] = {}

    def prepare(self, lambdas: Sequence[float]) -> None:
        logging.getLogger("transformers").setLevel(logging.ERROR)  # an end token that is none
        for lambda_ in lambdas:
            model = merged_model(PAIR, Recipe(lambda_=lambda_))
            for question in QUESTIONS:
                self.texts[lambda_, question] = self._text(model, question)

    def _text(self, model: Any, question: str) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        ids = self._tokenizer.encode(rendered, add_special_tokens=False)
        made = model.generate(
            torch.tensor([ids]),
            do_sample=False,
            max_new_tokens=self.tokens,
            eos_token_id=-1,
            pad_token_id=0,
        )
        text: str = self._tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)
        return text


async def stream(client: httpx2.AsyncClient, model: str, question: str, tokens: int) -> str:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
    }
    said = []
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    said.append(choice["delta"].get("content") or "")
    return "".join(said)


async def load(
    one: "Load", streams: int, seconds: float, of: Expected, tally: Tally, seed: int
) -> None:
    """Ask for so long; what is under way at the end is waited for and counted.

    Args:
        one: where and what is asked.
        streams: how many at once.
        seconds: how long new requests are made.
        of: what is expected.
        tally: what is counted.
        seed: of what is drawn.
    """
    drawn = random.Random(seed)
    limits = httpx2.Limits(max_connections=None)
    until = time.monotonic() + seconds

    async def ask(client: httpx2.AsyncClient) -> None:
        while time.monotonic() < until:
            lambda_, question = drawn.choice(one.lambdas), drawn.choice(QUESTIONS)
            started = time.monotonic()
            try:
                model = f"pair@{lambda_:g}" if one.named else "pair"
                text = await stream(client, model, question, of.tokens)
            except httpx2.HTTPError:
                tally.errors += 1
                continue
            tally.waits.append(time.monotonic() - started)
            tally.answers += 1
            tally.tokens += of.tokens
            tally.wrong += text != of.texts[lambda_, question]

    async with httpx2.AsyncClient(base_url=one.address, timeout=300, limits=limits) as client:
        await asyncio.gather(*(ask(client) for _ in range(streams)))


@dataclass(frozen=True)
class Load:
    """One of the three loads: where it goes, and what its requests name."""

    name: str
    address: str
    process: int
    lambdas: Sequence[float]
    named: bool


def processor_seconds(process: int) -> float:
    """What a server's processes have used so far."""
    tree = psutil.Process(process)
    used = [one.cpu_times() for one in (tree, *tree.children(recursive=True))]
    return sum(float(times.user + times.system) for times in used)


def measure(
    loads: Sequence[Load], streams: int, seconds: float, of: Expected
) -> dict[str, tuple[float, float]]:
    """Tokens a second, and a processor second, of each load.

    They take turns, so that the machine's mood is shared.
    """
    tallies = {one.name: Tally() for one in loads}
    took = dict.fromkeys(tallies, 0.0)
    for at in range(-1, max(1, round(seconds / _SLICE_SECONDS))):
        for one in loads:
            began, used = time.monotonic(), processor_seconds(one.process)
            tally = Tally() if at < 0 else tallies[one.name]  # the first round warms up
            asyncio.run(load(one, streams, min(seconds, _SLICE_SECONDS), of, tally, seed=at))
            took[one.name] += 0.0 if at < 0 else time.monotonic() - began
            tally.processor += processor_seconds(one.process) - used
    for name, tally in tallies.items():
        print(tally.line(name, took[name]), flush=True)
    return {
        name: (tally.tokens / took[name], 1000 / tally.processor_rate)
        for name, tally in tallies.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    options = parser.parse_args()
    expected = Expected(options.tokens)
    expected.prepare(LAMBDAS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pair = Pair(instruct=str(PAIR[0]), thinking=str(PAIR[1]))
        merge(Recipe(lambda_=ONE), pair, root / "merged", dtype="float32")
        with (
            serving(root / "log", str(a_preset(root))) as (address, process),
            plain(root / "merged", root / "plain.log") as (alone, other),
        ):
            loads = (
                Load("random λ", address, process, LAMBDAS, True),
                Load("one λ", address, process, (ONE,), True),
                Load("merged", alone, other, (ONE,), False),
            )
            rates = measure(loads, options.streams, options.seconds, expected)
    for name in ("one λ", "merged"):
        ratios = (own / its for own, its in zip(rates[name], rates["random λ"], strict=True))
        print(
            "{} / random λ: {:.2f} × by the clock, {:.2f} × by the processor".format(name, *ratios)
        )


if __name__ == "__main__":
    main()
