"""The plan of memory: how an engine runs a pair on a machine, and what lies where."""

from dataclasses import dataclass
from typing import Any, Literal

from mi_tui.engines.cache_size import CacheSize
from mi_tui.text.plurals import counted
from mi_tui.text.sizes import in_bytes

PROMPT_TOKENS = 512
"""Tokens of a prompt that are planned for beside the cap of its response."""

NOMINAL_CAP = 4096
"""Tokens of a response where no cap is known."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How an engine runs a pair, and what lies where; sizes in bytes, of each device.

    A device is a GPU, or main memory where ``gpus`` is 0. ``copies`` of the model run side by side,
    each over ``gpus_each`` of the ``gpus`` there are. ``room`` is what the engine may take.
    ``weights`` are those of the model that generates, ``sides`` both checkpoints where they lie
    beside it, ``delta`` their difference for one pass, ``other`` what is left for passes,
    activations and graphs, ``cache`` what the KV cache gets. ``response`` is the cache of one
    response; ``None`` where the config does not tell it. ``cap`` is the longest response wanted.
    ``most_rows`` bounds the responses of a copy, ``words`` is what will be done, in one line,
    ``reason`` why it is not one pass, ``idle`` which GPUs are left idle and why, ``problem`` why
    nothing can be run; each is empty where not so. ``share`` is the share of each GPU's memory
    that vLLM is to take.
    """

    engine: Literal["transformers", "vllm"]
    one_pass: bool = False
    as_asked: bool = False
    copies: int = 1
    gpus_each: int = 0
    gpus: int = 0
    room: int = 0
    weights: int = 0
    sides: int = 0
    delta: int = 0
    other: int = 0
    cache: int = 0
    response: CacheSize | None = None
    cap: int = NOMINAL_CAP
    most_rows: int | None = None
    words: str = ""
    reason: str = ""
    idle: str = ""
    problem: str = ""
    share: float | None = None
    tensor: int = 1

    @property
    def fits(self) -> bool:
        """Whether it can run, the longest response included."""
        return not self.problem

    @property
    def row(self) -> int:
        """Bytes that the cache of one response at the cap takes on each device; 0: not known."""
        return self.response.row(self.cap + PROMPT_TOKENS) if self.response else 0

    def rows(self, cap: int) -> int:
        """How many responses of so many tokens run at once, over all copies; 0: not known."""
        each = self.response.row(cap + PROMPT_TOKENS) if self.response else 0
        if not each:
            return 0
        fitting = self.cache // each
        return self.copies * min(fitting, self.most_rows or fitting)

    @property
    def longest(self) -> int:
        """The largest cap of a response that fits; 0: none, or not known."""
        if self.response is None:
            return 0
        return max(0, self.response.longest(self.cache) - PROMPT_TOKENS)

    @property
    def concurrency(self) -> str:
        """How many responses run at once, in words; empty where it is not known."""
        if not self.row or self.problem:
            return ""
        rows = counted(self.rows(self.cap), "response")
        return f"{rows} of {self.cap:,} tokens at once ({in_bytes(self.row)} of cache each)"

    @property
    def sentence(self) -> str:
        """All of it in one line: how it runs, how many responses at once, and what lies idle."""
        return "; ".join(filter(None, (self.words, self.concurrency, self.idle)))

    def as_json(self) -> dict[str, Any]:
        """The plan as data; sizes in bytes of each device."""
        return {
            "engine": self.engine,
            "fits": self.fits,
            "problem": self.problem,
            "words": self.words,
            "one_pass": self.one_pass,
            "reason": self.reason,
            "copies": self.copies,
            "gpus": self.gpus,
            "gpus_each": self.gpus_each,
            "idle": self.idle,
            "room": self.room,
            "weights": self.weights,
            "sides": self.sides,
            "delta": self.delta,
            "other": self.other,
            "cache": self.cache,
            "cache_per_response": self.row,
            "cap": self.cap,
            "responses_at_once": self.rows(self.cap),
            "longest_cap": self.longest,
        }


def idle_words(gpus: int, used: int, why: str) -> str:
    """Which GPUs are left idle, and why; empty where none is."""
    if used >= gpus:
        return ""
    return f"{gpus - used} of {counted(gpus, 'GPU')} left idle: {why}"
