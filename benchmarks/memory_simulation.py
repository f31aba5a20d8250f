"""The scheduler at the size of a 4B pair on cards of 80, 40 and 24 GB, with memory only counted.

``python -m benchmarks.memory_simulation [CARD …]`` runs the engine's own scheduler, decoder, batch
state and cache of 36 layers with 8 key/value heads of 128 in bfloat16: 144 KiB a token. Tensors of
the cache have no storage (torch's ``meta`` device); their bytes are counted, and a limit refuses
them as a card does. No model runs: a step is taken to last as long as reading the weights and the
cache takes (2.2 TB/s), or as the host needs to launch it where that is longer. So what is shown is
whether the work ends, how many sequences are in the batch, and an estimate of tokens per second.
Sequences that had to give way read their tokens again, at ``READ_AGAIN`` tokens a second.

``--cache block`` has one rectangle, as long as the longest sequence; ``pages`` what each fills.

A simulated token stands for ``COARSE`` of the model's: it takes so many times the memory and the
time, and responses are so many times shorter.

Response lengths are log-normal around the mean lengths of AIME'25 at nine λ (the 4B table of arXiv
2510.10977), with σ 0.6, cut at a cap of 81,920 tokens.
"""

import argparse
import math
import random
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from mi_tui.engines.protocol import Request
from mi_tui.engines.transformers.decoding import decoder
from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.model import kv_cache, page_table, paged_cache
from mi_tui.engines.transformers.model.forward import Batching
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.model.page_table import PAGE
from mi_tui.engines.transformers.model.paged_cache import PagedCache
from mi_tui.engines.transformers.scheduler import Scheduler
from mi_tui.plan.recipe import Recipe
from mi_tui.text.sizes import GIB

COARSE = 16
LAYERS, HEADS, HEAD_DIM = 36, 8, 128 * COARSE
BYTES_PER_TOKEN = 2 * LAYERS * HEADS * HEAD_DIM * 2
MEAN_TOKENS = (9000, 16794, 15000, 12500, 11189, 12500, 14500, 17574, 22813)
CAP = 81_920 // COARSE
PROMPT = 128 // COARSE
MOST_SEQUENCES, NOMINAL_LENGTH = 256, 4096 // COARSE
BANDWIDTH = 2.2e12
READ_AGAIN = 20_000
"""Tokens that a prefill is taken to read in a second: half of what a 4B model allows at 40 % of an
H100's peak, 990 TFLOP/s."""


@dataclass(frozen=True)
class Card:
    """What is free for the cache beside the weights, and the strategy that the weights leave."""

    name: str
    free: int
    strategy: str
    host_seconds: float
    weight_seconds: float


CARDS = {
    "80": Card("80 GB", 49 * GIB, "one-pass", 0.022, 0.006),
    "40": Card("40 GB", 17 * GIB, "in-place", 0.009, 0.003),
    "24": Card("24 GB", 16 * GIB, "in-place", 0.009, 0.003),
}


@dataclass
class Memory:
    """A card's memory for the cache: counted, and refused beyond its limit."""

    limit: int
    live: int = 0
    peak: int = 0
    refusals: int = 0

    def free(self, _: torch.device) -> int:
        """Bytes that are left."""
        return self.limit - self.live

    def take(self, tensor: Tensor) -> None:
        """Count a tensor while it lives.

        Raises:
            torch.OutOfMemoryError: it does not fit.
        """
        if self.live + tensor.nbytes > self.limit:
            self.refusals += 1
            raise torch.OutOfMemoryError("out of memory on the simulated card")
        self.live += tensor.nbytes
        self.peak = max(self.peak, self.live)
        weakref.finalize(tensor, self._give_back, tensor.nbytes)

    def _give_back(self, size: int) -> None:
        self.live -= size


@dataclass
class _Forward:
    """A pass that fills the cache and computes nothing; it notes how much a step reads."""

    read: int = 0
    prefilled: int = 0

    def __call__(
        self,
        tokens: Tensor,
        positions: Tensor,
        slots: KVCache | PagedCache,
        last: Tensor | None = None,
    ) -> Tensor:
        del last
        if not slots.bytes_per_token:
            like = torch.empty((1, HEADS, 1, HEAD_DIM), dtype=torch.bfloat16, device="meta")
            for layer in range(LAYERS):
                slots._allocate(layer, like, like)
        if slots.is_prefill:
            self.prefilled += tokens.numel()
        elif isinstance(slots, KVCache):
            self.read = sum((part.stop - part.start) * part.length for part in slots.blocks)
        else:
            self.read = int(positions.sum()) + len(positions)
        return torch.zeros(len(tokens), 2)

    def refresh(self) -> None:
        """Nothing is derived from the weights."""


@dataclass
class _Weights:
    model: Any = None
    batching: Batching = Batching.CONTINUOUS
    in_pages: bool = False
    forward: _Forward = field(default_factory=_Forward)

    def prepare(self, recipes: Any) -> None:
        """No weights to prepare."""


class _Strategies:
    """One strategy for all work, as on a card whose memory leaves no choice."""

    def __init__(self, strategy: str, cache: str) -> None:
        self.in_place = _Weights(in_pages=cache == "pages")
        self.one_pass = self.in_place
        self._strategy = strategy

    def weights(self, _: str) -> _Weights:
        return self.in_place

    def choose(self, work: Any, *_: object) -> str:
        return self._strategy if len(work.sequences) > 1 else "in-place"

    def parking_pays(self, *_: object) -> bool:
        return False


class _Device:
    device = torch.device("cpu")


@contextmanager
def counted(memory: Memory) -> Iterator[None]:
    """Count the cache's memory, and draw no tokens."""
    real = Tensor.new_zeros

    def zeros(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        made = real(tensor, *args, **options)
        if made.device.type == "meta":
            memory.take(made)
        return made

    def first_token(logits: Tensor, _: object) -> Tensor:
        return torch.zeros(len(logits), dtype=torch.long)

    with (
        patch.object(Tensor, "new_zeros", zeros),
        patch.object(KVCache, "replace", lambda *_: None),
        patch.object(KVCache, "permute", lambda *_: None),
        patch.object(kv_cache, "free_bytes", memory.free),
        patch.object(paged_cache, "free_bytes", memory.free),
        # Pages of as many of the model's tokens.
        patch.object(page_table, "PAGE", PAGE // COARSE),
        patch.object(paged_cache, "PAGE", PAGE // COARSE),
        patch.object(decoder, "draw_tokens", first_token),
    ):
        yield


@dataclass
class Result:
    """What came of a run. ``seconds`` are estimated, ``given_way`` are sequences that had to."""

    done: int = 0
    tokens: int = 0
    steps: int = 0
    sequence_steps: int = 0
    waited: int = 0
    sequence_steps_waited: int = 0
    seconds: float = 0.0
    given_way: int = 0
    read_again: int = 0

    @property
    def mean_batch(self) -> float:
        """Sequences in the batch, on average over the steps."""
        return self.sequence_steps / max(1, self.steps)

    @property
    def mean_batch_waited(self) -> float:
        """The same while others waited to join."""
        return self.sequence_steps_waited / max(1, self.waited)


def responses(count: int, seed: int = 0) -> list[Sequence]:
    """Sequences that end where their response would, with the recipe of their λ."""
    rng = random.Random(seed)
    sequences = []
    for at in range(count):
        recipe = at % len(MEAN_TOKENS)
        log_length = math.log(MEAN_TOKENS[recipe] / COARSE) - 0.18 + rng.gauss(0, 0.6)
        length = max(4, min(CAP, int(math.exp(log_length))))
        request = Request(at, Recipe(lambda_=recipe / 8), (1,) * PROMPT, at, length)
        sequences.append(Sequence(request, recipe))
    return sequences


def simulate(card: Card, sequences: list[Sequence], memory: Memory, cache: str) -> Result:
    """Generate all sequences.

    Raises:
        EngineError: one does not fit by itself.
    """
    batch = max(
        1, min(MOST_SEQUENCES, int(0.8 * memory.limit) // (BYTES_PER_TOKEN * NOMINAL_LENGTH))
    )
    strategies: Any = _Strategies(card.strategy, cache)
    device: Any = _Device()
    result = Result()
    with counted(memory):
        scheduler = Scheduler(strategies, device, batch_size=batch, end_tokens=())
        scheduler.add(sequences)
        before = 0
        while scheduler.pending:
            finished = scheduler.advance()
            live = len(scheduler._decoder.sequences)
            result.given_way += max(0, before - live - len(finished))
            before = live
            result.done += len(finished)
            result.tokens += sum(len(one.tokens) for one in finished)
            result.steps += 1
            result.sequence_steps += live
            if len(scheduler._queue):
                result.waited += 1
                result.sequence_steps_waited += live
            read = strategies.in_place.forward.read * BYTES_PER_TOKEN
            one_token = max(card.host_seconds, card.weight_seconds + read / COARSE / BANDWIDTH)
            result.seconds += COARSE * (0.001 + one_token)
        forward = strategies.in_place.forward
        result.read_again = COARSE * (forward.prefilled - PROMPT * len(sequences))
        result.seconds += result.read_again / READ_AGAIN
    return result


def main() -> None:
    """Print one line of a table for each card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", help="80, 40 and 24, or some of them")
    parser.add_argument("--responses", type=int, default=180)
    parser.add_argument("--cache", choices=("block", "pages"), default="pages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| card | free for the cache | done | sequences at once, while others wait | at all times "
        "| gave way, tokens read again | peak | tokens/s |\n|---|---|---|---|---|---|---|---|"
    )
    for name in options.cards or CARDS:
        card = CARDS[name]
        memory = Memory(card.free)
        found = simulate(card, responses(options.responses, options.seed), memory, options.cache)
        print(
            f"| {card.name}, {card.strategy} | {card.free / GIB:.0f} GiB | {found.done} of "
            f"{options.responses} | {found.mean_batch_waited:.1f} | {found.mean_batch:.1f} | "
            f"{found.given_way}, "
            f"{found.read_again:,} | "
            f"{memory.peak / GIB:.1f} GiB | {COARSE * found.tokens / found.seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
