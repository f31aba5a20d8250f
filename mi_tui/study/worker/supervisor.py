"""The supervisor of a worker: ``python -m mi_tui.study.worker.supervisor DIRECTORY LOCK``.

Started by :func:`mi_tui.study.control.start_worker`, in a session of its own, so that a closed
terminal does not reach it. The worker is its child, which loads libraries and models, and then may
not listen for minutes. The supervisor always does: within two seconds of a request to stop, or of
SIGTERM to either of the two, the study is stopped, whatever the worker is busy with. Of a worker
that dies it keeps how. What is stored survives a kill at any moment (see the store), so nothing is
lost by that but the rollouts in flight.
"""

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

from mi_tui.errors import MiTuiError
from mi_tui.machine.host import kills_for_memory
from mi_tui.study.storage.facts import keep, stored_state
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.text.sizes import in_bytes

STOPPED = "stopped; start it to go on"
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 0.8
"""What a worker gets to stop by itself: a session of rollouts does so between two slices."""

_CLOSING_SECONDS = 10.0
"""What it gets for its engine to end, once the study is stored as stopped."""

_STOPS = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Watches one worker until it has ended.

    Args:
        folder: of the study.
        child: the worker's process id.
        heard: a pipe on which the worker's process writes the signals it gets, even while it is
            busy in a library.
    """

    def __init__(self, folder: StudyFolder, child: int, heard: int) -> None:
        self._folder = folder
        self._child = child
        self._heard = heard
        self._asked = False
        self._stamp: tuple[int, ...] = ()
        self._kills = kills_for_memory()
        self._inode = _inode(folder)
        for number in _STOPS:
            signal.signal(number, self._ask)

    def _ask(self, number: int, _: object) -> None:
        self._asked = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, number)

    def watch(self) -> int:
        """Wait for the worker's end, and keep how it ended; returns the exit status."""
        deadline: float | None = None
        closing = killed = False
        while True:
            pid, status, usage = os.wait4(self._child, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._keep_end(code, usage.ru_maxrss * 1024, stopped=killed or -code in _STOPS)
                self._end_others(code)
                return code if code >= 0 else 1
            if deadline is None and (
                self._listen() or self._asked or self._is_gone() or self._stop_is_wanted()
            ):
                deadline = time.monotonic() + _GRACE_SECONDS
            elif deadline is None:
                continue
            elif time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS / 4)
            elif not closing and self._has_ended():
                closing, deadline = True, time.monotonic() + _CLOSING_SECONDS
            else:
                killed = True
                os.kill(self._child, signal.SIGKILL)
                deadline += _CLOSING_SECONDS

    def _listen(self) -> bool:
        """Wait a moment; whether the worker was asked to end by a signal meanwhile."""
        ready, _, _ = select.select([self._heard], [], [], _LOOK_SECONDS)
        if not ready:
            return False
        numbers = os.read(self._heard, 64)
        if not numbers:
            time.sleep(_LOOK_SECONDS / 4)  # the worker is ending
        return any(number in _STOPS for number in numbers)

    def _is_gone(self) -> bool:
        """Whether the study was moved or deleted: what a worker writes then is kept nowhere."""
        return _inode(self._folder) != self._inode

    def _stop_is_wanted(self) -> bool:
        """Whether a request to stop lies in the study; looked for when the file has changed."""
        try:
            stamp = tuple(
                part
                for file in (self._folder.database, Path(f"{self._folder.database}-wal"))
                if file.exists()
                for part in (file.stat().st_size, file.stat().st_mtime_ns)
            )
            if stamp == self._stamp:
                return False
            with Store(self._folder.database, reading=True) as store:
                wanted = any(request.kind == "stop" for request in store.open_requests())
        except (MiTuiError, OSError):
            return False  # busy, or gone: the worker finds out by itself
        self._stamp = stamp
        return wanted

    def _has_ended(self) -> bool:
        try:
            with Store(self._folder.database, reading=True) as store:
                return stored_state(store).has_ended
        except MiTuiError:
            return False

    def _keep_end(self, code: int, nbytes: int, *, stopped: bool) -> None:
        """Keep that the study is stopped, or how its worker died, where it did not say so."""
        if self._is_gone():
            where = self._folder.database
            print(f"{where} is gone, moved or deleted: the worker ended", file=sys.stderr)
            return
        try:
            with Store(self._folder.database) as store, store.transaction():
                if stored_state(store).has_ended:
                    return
                store.pass_over("stop")
                if stopped:
                    keep(store, state=StudyState.STOPPED, message=STOPPED)
                    store.log("stopped while the worker was busy; it was ended")
                    return
                how = how_it_ended(code, nbytes, kills_for_memory() > self._kills)
                # The state stays: without a worker it reads as interrupted.
                keep(store, death=f"{how}; start the study again and it goes on where it was")
                store.log(how, "error")
                print(how, file=sys.stderr)
        except MiTuiError as error:
            print(f"how the worker ended ({code}) cannot be kept: {error}", file=sys.stderr)

    def _end_others(self, code: int) -> None:
        """End what a worker has left behind that could not close: scorers, replicas, checks.

        They are in this process's group, which goes with them: it has nothing more to do.
        """
        if code not in (0, 1) and os.getpgid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)


def how_it_ended(code: int, nbytes: int, for_memory: bool) -> str:
    """How a worker died that did not say so itself, in one line.

    Args:
        code: its exit status, or minus the signal that killed it.
        nbytes: the most memory that it held.
        for_memory: whether the system has killed a process for want of memory meanwhile.
    """
    held = f"it held {in_bytes(nbytes)} at most"
    if code == -signal.SIGKILL and for_memory:
        return f"the worker was killed for want of memory (signal 9, SIGKILL); {held}"
    if code == -signal.SIGKILL:
        return f"the worker was killed (signal 9, SIGKILL), by hand or for want of memory; {held}"
    if code < 0:
        return f"the worker crashed (signal {-code}, {_name(-code)}); {held}"
    return f"the worker ended with exit status {code} before the study did; {held}"


def _inode(folder: StudyFolder) -> tuple[int, int] | None:
    try:
        facts = folder.database.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _work(folder: StudyFolder, heard: int) -> int:
    """The worker, in the child: everything heavy is imported here."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)  # until the worker listens: its end is a stop
    os.set_blocking(heard, False)
    signal.set_wakeup_fd(heard, warn_on_full_buffer=False)
    from mi_tui.study.worker.process import main

    return main(folder)


def main() -> int:
    """The entry point of the process."""
    folder = StudyFolder(Path(sys.argv[1]))
    os.set_inheritable(int(sys.argv[2]), False)  # held until both processes have ended
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listening, heard = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(listening)
        return _work(folder, heard)
    os.close(heard)
    return Supervisor(folder, child, listening).watch()


if __name__ == "__main__":
    sys.exit(main())
