"""Replicas of the engine, one process per GPU, behind the protocol of one engine.

Responses depend on their request alone, so how requests are shared out changes nothing but the
time. The parent keeps the queue and hands out enough to keep every process busy.
"""

import math
import multiprocessing
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from mi_tui.analysis.results import LatencyPoint
from mi_tui.checkpoints.checks.remote_code import require_trust
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.chat import Chat
from mi_tui.engines.protocol import (
    Capabilities,
    Completion,
    EngineError,
    Request,
    SelfCheck,
    check_request,
)
from mi_tui.engines.transformers.replica_process import Done, Failed, Result, serve
from mi_tui.engines.transformers.weights.cost_model import CostModel
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe

_ENDING_SECONDS = 5.0


class _Member:
    """One engine process: its connection, and the requests it was given."""

    def __init__(self, number: int, plan: EnginePlan, pair: Pair, longest: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.name = f"engine process {number} ({plan.device})"
        self.process = context.Process(
            target=serve, args=(theirs, plan, pair, longest), name=self.name, daemon=True
        )
        self.process.start()
        theirs.close()  # so that its end is noticed here
        self.given: set[int] = set()
        self.batch_size = 1

    def send(self, what: str, *values: object) -> None:
        try:
            self.connection.send((what, values))
        except (BrokenPipeError, ConnectionError) as error:
            raise self._gone() from error

    def receive(self) -> Done | Result:
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise self._gone() from error
        if isinstance(message, Failed):
            raise EngineError(message.reason)
        found: Done | Result = message
        return found

    def result(self) -> Any:
        """The answer to what was asked last; nothing is generated meanwhile."""
        while True:
            message = self.receive()
            if isinstance(message, Result):
                return message.value
            # Responses to requests that were cancelled.

    def _gone(self) -> EngineError:
        self.process.join(_ENDING_SECONDS)
        code = self.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return EngineError(
            f"{self.name} ended ({how}): it may have run out of memory; start the study again and "
            "it goes on where it was"
        )


class Replicas:
    """Engines of one pair on several devices; see ``protocol.Engine`` for each method.

    Args:
        plans: one for each process, with its device.
        pair: the checkpoints, which every process loads.
        chat: the donor's tokenizer and template.
        longest: the tokens that a prompt and its response may have; 0: not known.

    Raises:
        EngineError: a process cannot load the pair, or ended.
    """

    def __init__(
        self, plans: Sequence[EnginePlan], pair: Pair, chat: Chat, longest: int = 0
    ) -> None:
        self._pair = pair
        self._chat = chat
        self._queue: deque[Request] = deque()
        self._members = [_Member(at, plan, pair, longest) for at, plan in enumerate(plans)]
        try:
            for member in self._members:
                member.batch_size = member.result().batch_size
        except EngineError:
            self.close()
            raise

    @classmethod
    def open(cls, plans: Sequence[EnginePlan], pair: Pair, longest: int = 0) -> "Replicas":
        """Start a process for each plan.

        Raises:
            CheckpointError: a checkpoint cannot be found.
            RemoteCodeError: the pair asks for code that the user has not allowed.
            EngineError: a process cannot load the pair, or ended.
        """
        donor = locate(pair.donor_reference)
        chat = Chat(
            donor.path,
            trust_remote_code=require_trust(donor, pair.trust_remote_code),
            template_arguments=pair.chat_template_kwargs,
        )
        return cls(plans, pair, chat, longest)

    @property
    def capabilities(self) -> Capabilities:
        """What the processes can do together."""
        found: list[Capabilities] = self._all("capabilities")
        first = found[0]
        return replace(
            first,
            mixes_recipes=all(one.mixes_recipes for one in found),
            batch_size=sum(one.batch_size for one in found),
            device=f"{len(found)} × {first.device}",
            note=f"{first.note}; {len(found)} processes",
        )

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The donor's chat template applied, the assistant's turn opened."""
        return self._chat.render(messages)

    def encode(self, prompt: str) -> tuple[int, ...]:
        """The token ids of a rendered prompt."""
        return self._chat.encode(prompt)

    def add(self, requests: Iterable[Request]) -> None:
        """Queue requests; none of them when one is refused."""
        new = list(requests)
        for request in new:
            check_request(request, self._pair)
        # Sequences of one recipe stay together: where λ is switched in place, that saves switches.
        groups: dict[tuple[Recipe, bool], list[Request]] = {}
        for request in new:
            groups.setdefault((request.recipe, request.as_exported), []).append(request)
        self._queue.extend(request for group in groups.values() for request in group)
        self._hand_out()

    def step(self, seconds: float = 0.5) -> list[Completion]:
        """Wait about ``seconds`` and return what the processes finished."""
        until = time.perf_counter() + seconds
        done: list[Completion] = []
        while self.pending:
            ready = wait(
                [member.connection for member in self._members],
                max(0.0, until - time.perf_counter()),
            )
            for member in self._members:
                if member.connection in ready:
                    done += self._finished(member)
            self._hand_out()
            if time.perf_counter() >= until:
                break
        return done

    def cancel(self, request_ids: Iterable[int]) -> None:
        """Forget requests; unknown ids are ignored."""
        ids = set(request_ids)
        self._queue = deque(request for request in self._queue if request.id not in ids)
        for member in self._members:
            if theirs := ids & member.given:
                member.send("cancel", sorted(theirs))
                member.given -= theirs
        self._hand_out()

    @property
    def pending(self) -> int:
        """The number of requests queued or running."""
        return len(self._queue) + sum(len(member.given) for member in self._members)

    def self_check(self) -> SelfCheck:
        """Every process compares a few tokens with a materialised merge; the first failure."""
        found: list[SelfCheck] = self._all("self_check")
        return next((check for check in found if not check.passed), found[0])

    def calibrate(self, concurrencies: Sequence[int] | None = None) -> tuple[LatencyPoint, ...]:
        """One process measures the merged model's speed while the others wait."""
        self._members[0].send("calibrate", concurrencies)
        points: tuple[LatencyPoint, ...] = self._members[0].result()
        return points

    def cost_model(self) -> CostModel:
        """One process's measurements; the others, on devices alike, make their own."""
        self._members[0].send("cost_model")
        model: CostModel = self._members[0].result()
        return model

    def device_memory(self) -> str:
        """Unknown here: the accelerators' memory is the processes'."""
        return ""

    def close(self) -> None:
        """End the processes."""
        for member in self._members:
            member.connection.close()
        for member in self._members:
            member.process.join(_ENDING_SECONDS)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()

    def _all(self, what: str) -> list[Any]:
        """Ask every process at once; only while none generates."""
        assert not any(member.given for member in self._members), "asked while generating"
        for member in self._members:
            member.send(what)
        return [member.result() for member in self._members]

    def _finished(self, member: _Member) -> list[Completion]:
        message = member.receive()
        assert isinstance(message, Done)
        # What was cancelled meanwhile may still have finished.
        kept = [done for done in message.completions if done.request_id in member.given]
        member.given -= {done.request_id for done in kept}
        return kept

    def _hand_out(self) -> None:
        """Give each process up to twice its batch, but near the end no more than its share."""
        for member in sorted(self._members, key=lambda one: len(one.given) / one.batch_size):
            share = math.ceil(len(self._queue) / len(self._members))
            room = min(2 * member.batch_size - len(member.given), share)
            if room > 0 and len(member.given) < member.batch_size:
                part = [self._queue.popleft() for _ in range(room)]
                member.given.update(request.id for request in part)
                member.send("add", part)
