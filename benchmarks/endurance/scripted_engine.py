"""An engine that writes what its requests and seeds say, for tests of everything around it."""

import random
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence

from mi_tui.analysis.results import LatencyPoint
from mi_tui.engines.protocol import Capabilities, Completion, Request, SelfCheck
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair

_SECONDS_A_BATCH = 0.02
_SUM = re.compile(r"Compute ([\d+*-]+) mod 100")


class ScriptedEngine:
    """Answers the arithmetic of the bundled probe, rightly more often with λ, at more length.

    Args:
        batch: how many responses are written at once.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._queue: deque[Request] = deque()

    @property
    def capabilities(self) -> Capabilities:
        """Those of an engine that mixes recipes, without a model."""
        return Capabilities(True, self._batch, "none", "float32", "scripted", "float32")

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The messages, one after the other."""
        return "\n".join(message["content"] for message in messages)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """A token for each character."""
        return tuple(map(ord, prompt))

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests."""
        self._queue.extend(requests)

    def step(self, seconds: float = 0.5) -> list[Completion]:
        """Write batches for about ``seconds``."""
        until = time.monotonic() + seconds
        done: list[Completion] = []
        while self._queue and time.monotonic() < until:
            time.sleep(_SECONDS_A_BATCH)
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            done += map(_completion, batch)
        return done

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget these requests."""
        gone = set(request_ids)
        self._queue = deque(request for request in self._queue if request.id not in gone)

    @property
    def pending(self) -> int:
        """The number of requests queued."""
        return len(self._queue)

    def self_check(self) -> SelfCheck:
        """Nothing to compare with."""
        return SelfCheck(True, "scripted")

    def calibrate(self, concurrencies: Sequence[int] | None = None) -> tuple[LatencyPoint, ...]:
        """No speed: the preset gives one."""
        del concurrencies
        return ()

    def device_memory(self) -> str:
        """No device."""
        return ""

    def close(self) -> None:
        """Nothing to free."""


def open_scripted(plan: EnginePlan, pair: Pair, cap: int | None = None) -> ScriptedEngine:
    """In the place of ``mi_tui.engines.open.open_engine``."""
    del pair, cap
    return ScriptedEngine(plan.batch or 16)


def _completion(request: Request) -> Completion:
    lambda_ = request.recipe.lambda_ or 0.0
    drawn = random.Random(f"{request.seed}/{lambda_:.4f}")
    thinks = drawn.random() < lambda_
    right = drawn.random() < 0.3 + 0.5 * thinks
    length = drawn.randrange(5, 20) + 80 * thinks
    found = _SUM.search("".join(map(chr, request.prompt)))
    answer = (_value(found[1]) + (not right)) % 100 if found else 0
    thought = f"<think>{'so ' * length}</think>" if thinks else ""
    text = f"{thought}The answer is \\boxed{{{answer}}}."
    count = min(length, request.max_new_tokens)
    return Completion(request.id, text, tuple(range(count)), count, "stop", 0.01)


def _value(text: str) -> int:
    """What an expression comes to, read from left to right."""
    value = 0
    for sign, number in re.findall(r"([+*-]?)(\d+)", text):
        value = value * int(number) if sign == "*" else value + int(f"{sign}{number}")
    return value
