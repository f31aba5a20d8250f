"""A real pseudo-terminal with a screen that tests can read and keys they can press."""

import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import pexpect
import pyte

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "shift+tab": "\x1b[Z",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "delete": "\x1b[3~",
    "backspace": "\x7f",
    "f1": "\x1bOP",
    "f4": "\x1bOS",
    "pagedown": "\x1b[6~",
    "ctrl+q": "\x11",
    "ctrl+c": "\x03",
    "space": " ",
}

MI_TUI = (sys.executable, "-m", "mi_tui")


class Terminal:
    """Runs a program on a pseudo-terminal.

    Args:
        command: the program and its arguments.
        columns, lines: the size of the terminal.
        environment: variables added to this process's own.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        lines: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.received = 0
        self.written = bytearray()
        self.process: pexpect.spawn[bytes] = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(lines, columns),
            env={**os.environ, "TERM": "xterm-256color", **(environment or {})},
            timeout=None,
        )
        # A test that ends by SIGHUP must not have pexpect ignore it in the child.
        self.process.ignore_sighup = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- the screen when the test failed ---\n{self.text}", file=sys.stderr)
        self.process.close(force=True)

    @property
    def text(self) -> str:
        """What is on the screen, trailing blanks cut."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, seconds: float = 0.05) -> None:
        """Take in what the program has written, waiting at most so long for it."""
        try:
            data = self.process.read_nonblocking(65536, timeout=seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.received += len(data)
        self.written += data
        # pyte does not know the private sequences that Textual asks the terminal with.
        self._stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]", b"", data))

    def wait_for(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """Wait until the screen shows a regular expression; returns the match.

        Raises:
            AssertionError: it does not within the time, or the program ended.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()
            if found := re.search(pattern, self.text):
                return found
            if not self.process.isalive():
                self.read()
                if found := re.search(pattern, self.text):
                    return found
                raise AssertionError(f"the program ended before {pattern!r} was on the screen")
        raise AssertionError(f"{pattern!r} was not on the screen within {seconds:g} s")

    def press(self, *keys: str) -> None:
        """Press keys, by name (``enter``) or as text."""
        for key in keys:
            self.process.send(KEYS.get(key, key))

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        self.process.kill(signal.SIGHUP)
        self.process.close(force=True)

    def wait_until_ended(self, seconds: float = 30.0) -> int:
        """Wait for the program's end; returns its exit status."""
        deadline = time.monotonic() + seconds
        while self.process.isalive():
            self.read()
            assert time.monotonic() < deadline, f"the program did not end within {seconds:g} s"
        self.read()
        return int(self.process.exitstatus if self.process.exitstatus is not None else -1)
