"""Signal handlers, and the watch for a terminal that goes without a signal; both end the app."""

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from textual.app import App

_PATIENCE = 1.0
"""Seconds for the terminal to take what puts it right; one that is gone takes nothing."""


def leave_on_signals(app: App[Any]) -> None:
    """End the app on SIGHUP and SIGTERM as a key would, with mouse mode and screen restored.

    A terminal that has gone may refuse what is written to it, or never take it, so the process
    ends after a second in any case. Studies have processes of their own.
    """

    def leave(number: signal.Signals) -> None:
        last = threading.Timer(_PATIENCE, os._exit, (128 + number,))
        last.daemon = True
        last.start()
        app.exit(return_code=128 + number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(number, leave, number)

    def gone() -> None:
        with contextlib.suppress(RuntimeError):  # the app has ended meanwhile
            loop.call_soon_threadsafe(leave, signal.SIGHUP)

    if sys.__stdin__ is not None:
        wait = threading.Thread(
            target=_wait_for_end, args=(sys.__stdin__.fileno(), gone), daemon=True, name="hang-up"
        )
        wait.start()


def _wait_for_end(terminal: int, gone: Callable[[], None]) -> None:
    """Call ``gone`` when a terminal or pipe has lost its other end.

    The kernel sends SIGHUP to the leader of the session alone, which may be ``make``, ``uv`` or
    ``srun``; what they started only finds that there is nothing to read any more.
    """
    poll = select.poll()
    poll.register(terminal, 0)  # the end is reported in any case, and keys are not asked for
    while True:
        for _, what in poll.poll():
            if what & (select.POLLHUP | select.POLLERR):
                gone()
            return
