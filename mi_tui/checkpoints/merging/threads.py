"""Worker threads with a shared count of the work done."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, wait
from typing import Any

from mi_tui.machine.host import core_count

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, from the caller's own thread."""

_MOST = 8
"""Each thread has buffers of its own, so that memory grows with them."""

_WAKE = 0.1


def thread_count() -> int:
    """A thread for each core that this process may use, up to eight."""
    return min(_MOST, core_count())


class Tally:
    """The bytes that all threads have done, and whether they are to stop."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._stopped = False
        self._lock = threading.Lock()

    def add(self, nbytes: int) -> None:
        """Count what a thread has done.

        Raises:
            CancelledError: the thread is to stop, because another failed or the user interrupted.
        """
        if self._stopped:
            raise CancelledError
        with self._lock:
            self.done += nbytes

    def stop(self) -> None:
        """Let every thread stop at its next :meth:`add`."""
        self._stopped = True


def watch(running: Sequence[Future[Any]], tally: Tally, progress: Progress | None) -> None:
    """Report about ten times a second until all threads are done.

    When one fails, or the user interrupts, all are told to stop, and the error goes on.
    """
    try:
        while True:
            finished, waiting = wait(running, timeout=_WAKE, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
            if progress is not None:
                progress(tally.done, tally.total)
            if not waiting:
                return
    finally:
        tally.stop()
