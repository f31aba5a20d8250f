"""The client of a scoring process: start, calls with time limits, kill."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from mi_tui.probes.scoring.process import PATIENCE

_SLICE = 1.0

START_LIMIT = 120.0
"""Seconds that a process may take to start, or to load a scorer."""

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[3])
# -c and not -m: with spawn or -m the child would import the parent's main module, torch and all.
# -P keeps files of the current directory from standing in for modules.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[3]); "
    "from mi_tui.probes.scoring.process import main; main(float(sys.argv[1]), int(sys.argv[2]))"
)


_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that somebody else sends: a user, the system when memory is short."""


class ProcessGoneError(Exception):
    """The scoring process died or was killed for taking too long; the message says why.

    Attributes:
        from_outside: whether a signal of somebody else has ended it.
    """

    def __init__(self, message: str, *, from_outside: bool = False) -> None:
        super().__init__(message)
        self.from_outside = from_outside


class ProcessStartError(ProcessGoneError):
    """The scoring process did not get as far as being ready."""


class ScoringProcess:
    """A running :mod:`mi_tui.probes.scoring.process`.

    Args:
        time_limit: seconds of processor time that one response may take.
        memory_limit: bytes of address space.

    Raises:
        ProcessStartError: it does not start.
    """

    def __init__(self, time_limit: float, memory_limit: int) -> None:
        self._time_limit = time_limit
        self._loaded: dict[str, str | None] = {}
        self._replies: deque[bytes] = deque()
        self._partial = b""
        self._outgoing = memoryview(b"")
        arguments = (str(time_limit), str(memory_limit), _PACKAGE_PARENT)
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                # Ctrl+C in the terminal is the owner's to handle.
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            )
            self._input, self._output = _descriptors(self._process)
            os.set_blocking(self._input, False)
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._output, selectors.EVENT_READ)
            try:
                self._receive(START_LIMIT, "starting the scoring process")
            except ProcessGoneError as reason:
                self.close()
                raise ProcessStartError(
                    _last_line(errors) or str(reason), from_outside=reason.from_outside
                ) from reason

    def load(self, scorer: str) -> str | None:
        """Have the process import what a scorer needs, outside of any job's time.

        Returns:
            Why the scorer cannot be used; ``None`` where it can.
        """
        if scorer not in self._loaded:
            self._send(json.dumps({"load": scorer}).encode() + b"\n")
            reply = self._receive(START_LIMIT, f"loading the scorer {scorer}")
            self._loaded[scorer] = reply.get("failure")
        return self._loaded[scorer]

    def send(self, jobs: bytes) -> None:
        """Hand over jobs, one JSON line each; :meth:`receive` carries them across."""
        self._send(jobs)

    def receive(self) -> dict[str, Any]:
        """The next reply, in the order of the jobs.

        Raises:
            ProcessGoneError: it did not come within the time limit, or the process died.
        """
        return self._receive(PATIENCE * self._time_limit, "scoring")

    @property
    def is_alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process and what it started; harmless when it is gone already."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process and free what belongs to it."""
        self.kill()
        self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _receive(self, limit: float, doing: str) -> dict[str, Any]:
        left = limit
        while not self._replies:
            # In slices: while the machine is suspended or frozen, no more than one goes by.
            before = time.monotonic()
            ready = self._selector.select(min(_SLICE, max(left, 0.0)))
            left -= min(time.monotonic() - before, _SLICE)
            if not ready and left <= 0.0:
                self.kill()
                raise ProcessGoneError(f"{doing} took more than {limit:g} s")
            # Both ways at once: a process that waits to be read must not be waited for.
            for key, _ in ready:
                if key.fd == self._input:
                    self._write_some()
                else:
                    self._read_some()
        reply: dict[str, Any] = json.loads(self._replies.popleft())
        return reply

    def _send(self, data: bytes) -> None:
        if not self._outgoing:
            self._selector.register(self._input, selectors.EVENT_WRITE)
        self._outgoing = memoryview(bytes(self._outgoing) + data)

    def _write_some(self) -> None:
        try:
            written = os.write(self._input, self._outgoing)
        except BrokenPipeError as error:
            raise self._death() from error
        self._outgoing = self._outgoing[written:]
        if not self._outgoing:
            self._selector.unregister(self._input)

    def _read_some(self) -> None:
        data = os.read(self._output, 1 << 16)
        if not data:
            raise self._death()
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._replies.extend(lines)

    def _death(self) -> ProcessGoneError:
        self.kill()
        status = self._process.wait()
        if status == -signal.SIGPROF:
            limit = f"{self._time_limit:g} s of processor time"
            return ProcessGoneError(f"scoring took more than {limit}")
        if status >= 0:
            return ProcessGoneError(f"scorer crashed: its process ended with status {status}")
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = str(-status)
        return ProcessGoneError(
            f"scorer crashed: its process was ended by {name}",
            from_outside=-status in _FROM_OUTSIDE,
        )


def _descriptors(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """The file descriptors of the process's standard input and output."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin.fileno(), process.stdout.fileno()


def _last_line(errors: Any) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return f"the scoring process does not start: {lines[-1]}" if lines else ""
