"""Guard against orphans: vLLM's processes end when the process that started them dies.

vLLM's engine core does not notice that its client was killed, and would keep the GPU. A watcher
process knows the descendants of its parent and ends them when the pipe between the two breaks
without a word.
"""

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

import psutil

LOOK_SECONDS = 2.0
"""How often the watcher looks for new descendants."""

_GRACE_SECONDS = 5.0
_DONE = b"done"


class Watch:
    """Watches over this process's descendants until :meth:`end`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "mi_tui.engines.vllm.orphans"]
        self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def end(self) -> None:
        """Watch no more; nothing is ended."""
        self._watcher.communicate(_DONE)


def watch() -> None:
    """Remember the parent's descendants; end them when it is gone without having said so."""
    me = psutil.Process()
    parent = me.parent()
    known: set[psutil.Process] = set()
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        with contextlib.suppress(psutil.Error):
            known |= set(_living(parent.children(recursive=True))) - {me}
    if sys.stdin.buffer.read() != _DONE:
        end_all(known)


def end_all(processes: Iterable[psutil.Process]) -> None:
    """Ask processes and their descendants to end, and kill those that do not."""
    left = set(processes)
    for process in tuple(left):
        with contextlib.suppress(psutil.Error):
            left |= set(process.children(recursive=True))
    _each(left, psutil.Process.terminate)
    until = time.monotonic() + _GRACE_SECONDS
    while _living(left) and time.monotonic() < until:
        time.sleep(0.1)
    _each(_living(left), psutil.Process.kill)


def _living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that run, and do not only wait to be collected by their parent."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _each(processes: Iterable[psutil.Process], end: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            end(process)


if __name__ == "__main__":
    watch()
