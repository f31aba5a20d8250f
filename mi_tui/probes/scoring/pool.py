"""The pool of scoring processes, with a time limit for each response.

Each of the pool's threads owns one scoring process and talks to it in JSON lines. A process that
hangs is killed, one that dies is replaced. The response it was at is tried once more in the next
process, and some times more where somebody else has killed it; if that fails, too, it is not scored
and gets the reason. The others of its batch are scored by the next process.

Where no process can be started any more, or a required scorer cannot be loaded any more, no
response is to blame: the pool is broken, and says so instead of giving scores.
"""

import json
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags
from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.client import ProcessGoneError, ProcessStartError, ScoringProcess
from mi_tui.probes.scoring.judge import scorer_of
from mi_tui.probes.scoring.process import MISSING, OUT_OF_MEMORY
from mi_tui.probes.scoring.scorer import is_batched

BATCH = 32
"""Most jobs handed to a process at once: fewer switches between threads when many are waiting."""

MAX_FAILED_STARTS = 3
"""After so many in a row the pool is broken."""

MAX_KILLED_STARTS = 20
"""The same where signals of somebody else have ended the processes."""

START_PAUSE = 0.5
"""Seconds before a process is started again: the machine may be short of something for a moment."""


_TRIES = 2
"""How often a response is tried whose process dies."""

_TRIES_OF_KILLED = 6
"""The same where a signal from outside ends the process: that is hardly the response's fault."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A response to score; without a message only the scorer is loaded."""

    key: int
    scorer: str
    message: bytes
    tries: int = 1


_Jobs = queue.SimpleQueue[_Job | None]
_Scores = queue.SimpleQueue[tuple[int, Score] | ScorerError]


class ScoringPool:
    """Worker processes that score responses; used from one thread.

    Args:
        processes: how many processes score at once, at least one.
        time_limit: seconds of processor time that the scoring of one response may take.
        memory_limit: bytes of address space of one process.
        tags: what may mark the thinking of a response.
    """

    def __init__(
        self,
        processes: int = 2,
        time_limit: float = 20.0,
        memory_limit: int = 8 << 30,
        tags: Sequence[ThinkingTags] = KNOWN,
    ) -> None:
        self._tags = None if tuple(tags) == KNOWN else [asdict(one) for one in tags]
        self._jobs: _Jobs = queue.SimpleQueue()
        self._scores: _Scores = queue.SimpleQueue()
        self._pending = 0
        self._broken: ScorerError | None = None
        self._required: set[str] = set()
        self._workers = [
            _Worker(self._jobs, self._scores, self._required, time_limit, memory_limit)
            for _ in range(max(processes, 1))
        ]

    def submit(
        self, key: int, scorer_name: str, problem: Problem, response_text: str, truncated: bool
    ) -> None:
        """Queue a response; :meth:`poll` gives its score under ``key``."""
        name = scorer_of(problem, scorer_name)
        message = {
            "key": key,
            "scorer": name,
            "problem": asdict(problem),
            "text": response_text,
            "truncated": truncated,
            "tags": self._tags,
        }
        self._pending += 1
        self._jobs.put(_Job(key, name, json.dumps(message).encode() + b"\n"))

    def require(self, scorers: Iterable[str]) -> None:
        """Load scorers, so that nothing is generated that cannot be judged.

        Called before anything is submitted.

        Raises:
            ScorerError: one of them is not there, or what it needs is not installed.
        """
        for number, name in enumerate(dict.fromkeys(scorers), start=1):
            self._jobs.put(_Job(-number, name, b""))
            loaded = self._scores.get()
            if isinstance(loaded, ScorerError):
                raise loaded
            if (failure := loaded[1].failure) is not None:
                raise ScorerError(failure)
            self._required.add(name)

    def poll(self, seconds: float = 0.0) -> list[tuple[int, Score]]:
        """The scores that have come in since the last call, in any order.

        Waits up to ``seconds`` for the first one while any is due.

        Raises:
            ScorerError: nothing can be scored any more; what is pending stays without a score.
        """
        if self._broken is not None:
            raise self._broken
        scores: list[tuple[int, Score]] = []
        deadline = time.monotonic() + seconds
        while self._pending:
            wait = 0.0 if scores else max(deadline - time.monotonic(), 0.0)
            try:
                found = self._scores.get(block=wait > 0, timeout=wait or None)
            except queue.Empty:
                break
            if isinstance(found, ScorerError):
                self._broken = found
                break
            scores.append(found)
            self._pending -= 1
        if self._broken is not None and not scores:
            raise self._broken
        return scores

    @property
    def pending(self) -> int:
        """How many submitted responses have not come back from :meth:`poll`."""
        return self._pending

    def close(self) -> None:
        """End the processes; responses not yet scored are dropped."""
        for worker in self._workers:
            worker.stop()
        for _ in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join()
        self._pending = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Worker:
    """One thread and the scoring process it owns, started with the first job."""

    def __init__(
        self,
        jobs: _Jobs,
        scores: _Scores,
        required: set[str],
        time_limit: float,
        memory_limit: int,
    ) -> None:
        self._jobs = jobs
        self._scores = scores
        self._required = required
        self._limits = (time_limit, memory_limit)
        self._process: ScoringProcess | None = None
        self._failed_starts = 0
        self._killed_starts = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoring", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; the job it waits for is given up.

        A thread that waits for a job also needs a ``None`` in the queue to wake up, once all of
        them have been asked.
        """
        self._stopped.set()
        if (process := self._process) is not None:
            process.kill()

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._score(self._next_batch())
        finally:
            self._discard_process()

    def _next_batch(self) -> deque[_Job]:
        """One job, waited for, and the cheap ones that stand behind it already."""
        batch: deque[_Job] = deque()
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if not is_batched(job.scorer) or len(batch) == BATCH:
                break
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
        return batch

    def _score(self, jobs: deque[_Job]) -> None:
        while jobs and not self._stopped.is_set():
            try:
                self._score_in_one_process(jobs)
            except ScorerError as reason:
                self._scores.put(reason)
                return
            except ProcessStartError as reason:
                if self._count_failed_start(reason):
                    self._scores.put(ScorerError(_cannot_go_on(str(reason))))
                    return
                self._stopped.wait(START_PAUSE)
            except ProcessGoneError as reason:
                self._give_up(jobs, str(reason), reason.from_outside)
            except Exception as error:
                # Without this thread the study would wait for ever.
                self._give_up(jobs, f"scoring failed: {type(error).__name__}: {error}")

    def _give_up(self, jobs: deque[_Job], reason: str, from_outside: bool = False) -> None:
        """Try the job that the process was at again, alone, or give it up.

        The others are left to the next process.
        """
        self._discard_process()
        if not jobs or self._stopped.is_set():
            return
        job = jobs.popleft()
        if job.tries >= (_TRIES_OF_KILLED if from_outside else _TRIES):
            self._scores.put((job.key, Score(None, failure=reason)))
        else:
            # Alone, so that no other job's trouble is taken for its own.
            self._score(deque([replace(job, tries=job.tries + 1)]))

    def _score_in_one_process(self, jobs: deque[_Job]) -> None:
        if self._process is not None and not self._process.is_alive:
            # It died between two jobs, and neither is to blame.
            self._discard_process()
        process = self._process or self._start_process()
        unusable = {name: process.load(name) for name in {job.scorer for job in jobs}}
        for name, failure in unusable.items():
            if failure is not None and name in self._required:
                raise ScorerError(_cannot_go_on(failure))
        if not jobs[0].message:
            job = jobs.popleft()
            failure = unusable[job.scorer]
            self._scores.put((job.key, Score(None if failure else 1.0, failure=failure)))
            return
        process.send(b"".join(job.message for job in jobs))
        while jobs:
            score = _score_of(process.receive())
            if (score.failure or "").startswith((OUT_OF_MEMORY, MISSING)):
                raise ProcessGoneError(str(score.failure))
            self._scores.put((jobs.popleft().key, score))

    def _start_process(self) -> ScoringProcess:
        try:
            self._process = ScoringProcess(*self._limits)
        except OSError as error:
            raise ProcessStartError(f"the scoring process does not start: {error}") from error
        self._failed_starts = self._killed_starts = 0
        if self._stopped.is_set():
            # The pool was closed before there was a process that it could kill.
            raise ProcessGoneError("the pool is closed")
        return self._process

    def _count_failed_start(self, reason: ProcessStartError) -> bool:
        """Whether that was one too many."""
        if reason.from_outside:
            self._killed_starts += 1
        else:
            self._failed_starts += 1
        return self._failed_starts >= MAX_FAILED_STARTS or self._killed_starts >= MAX_KILLED_STARTS

    def _discard_process(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None


def _score_of(reply: dict[str, Any]) -> Score:
    return Score(reply["value"], reply["answer"], reply["failure"])


def _cannot_go_on(reason: str) -> str:
    return (
        f"responses cannot be scored: {reason}; mend that and start again: what has a score is "
        "kept, the rest is asked again"
    )
