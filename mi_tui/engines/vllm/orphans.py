"""End vLLM's processes when the process that started them dies, however it dies.

vLLM's engine core does not notice that its client was killed, and would keep the GPU. A watcher of
its own holds one end of a pipe; when the other end closes it ends every process that carries the
mark which the vLLM of this client was started under.
"""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import psutil

_MARK = "MI_TUI_VLLM_MARK"
_GRACE_SECONDS = 5.0


class Watch:
    """Watches over the processes that are started within :meth:`marked`."""

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "mi_tui.engines.vllm.orphans", self._mark]
        self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    @contextlib.contextmanager
    def marked(self) -> Iterator[None]:
        """Processes started meanwhile, and theirs, belong to this watch."""
        os.environ[_MARK] = self._mark
        try:
            yield
        finally:
            del os.environ[_MARK]

    def end(self) -> None:
        """End what is left of the marked processes, and the watcher."""
        self._watcher.communicate()


def processes_with(mark: str) -> list[psutil.Process]:
    """Living processes of this user that were started under a mark; not those that only wait to
    be collected by their parent."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def _end_all(mark: str) -> None:
    _each(mark, psutil.Process.terminate)
    until = time.monotonic() + _GRACE_SECONDS
    while processes_with(mark) and time.monotonic() < until:
        time.sleep(0.1)
    _each(mark, psutil.Process.kill)


def _each(mark: str, end: Callable[[psutil.Process], None]) -> None:
    for process in processes_with(mark):
        with contextlib.suppress(psutil.Error):
            end(process)


if __name__ == "__main__":
    sys.stdin.read()  # returns when the other end is closed
    _end_all(sys.argv[1])
