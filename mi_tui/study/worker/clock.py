"""The clock of a study: working time over all sessions, and the recent rate."""

import time
from collections import deque
from dataclasses import replace

from mi_tui.study.storage.facts import Facts, keep
from mi_tui.study.storage.store import Store
from mi_tui.study.view import Progress

_REPORT_SECONDS = 1.0
_RATE_WINDOW_SECONDS = 15.0


class Clock:
    """Elapsed working time over all sessions of a study, and the recent rate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before = Facts.of(store).elapsed
        self._since: float | None = time.monotonic()
        self._done: deque[tuple[float, int, int]] = deque()
        self._last_report = 0.0
        self._first = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of work, pauses left out."""
        return self._before + (time.monotonic() - self._since if self._since else 0.0)

    def pause(self) -> None:
        """Stop counting."""
        self._before, self._since = self.elapsed, None
        self._done.clear()
        self.save()

    def resume(self) -> None:
        """Count again."""
        self._since = self._first = time.monotonic()

    def save(self) -> None:
        """Keep the elapsed time for the next session."""
        keep(self._store, elapsed=self.elapsed)

    def count(self, rollouts: int, tokens: int) -> None:
        """Note what was just finished."""
        now = time.monotonic()
        if rollouts:
            self._done.append((now, rollouts, tokens))
        while self._done and self._done[0][0] < now - _RATE_WINDOW_SECONDS:
            self._done.popleft()

    def due(self) -> bool:
        """Whether the next report is due; at most one a second."""
        now = time.monotonic()
        if now - self._last_report < _REPORT_SECONDS:
            return False
        self._last_report = now
        return True

    @property
    def rollouts_per_second(self) -> float:
        """The recent pace."""
        return sum(done[1] for done in self._done) / self._span

    @property
    def _span(self) -> float:
        return max(1e-9, min(_RATE_WINDOW_SECONDS, time.monotonic() - self._first))

    def progress(self, counted: Progress) -> Progress:
        """Fill in elapsed time, tokens per second and the time left."""
        span = self._span
        rollouts = self.rollouts_per_second
        left = max(0, counted.planned - counted.rollouts)
        return replace(
            counted,
            tokens_per_second=sum(done[2] for done in self._done) / span,
            elapsed_seconds=self.elapsed,
            eta_seconds=left / rollouts if rollouts else None,
        )
