"""Signal handlers: put the terminal right and end the app."""

import asyncio
import os
import signal
import threading
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

    for number in (signal.SIGHUP, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, leave, number)
