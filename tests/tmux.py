"""A real tmux with a screen that tests can read and keys they can press."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_NAMES = {
    "enter": "Enter",
    "escape": "Escape",
    "tab": "Tab",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "space": "Space",
}


class Tmux:
    """Runs a program in a tmux server of its own.

    Args:
        command: the program and its arguments.
        socket: where the server listens; its own, so that no other server is touched.
        columns, lines: the size of the window.
        environment: variables added to this process's own.
    """

    def __init__(
        self,
        command: Sequence[str],
        socket: Path,
        *,
        columns: int = 80,
        lines: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._tmux = ("tmux", "-S", str(socket), "-f", os.devnull)
        # tmux 3.3 does not tell an exit status of 0 from one it does not know yet.
        self._status = socket.with_suffix(".status")
        kept = ("sh", "-c", 'status=$0; "$@"; echo $? > "$status"', str(self._status))
        size = ("-x", str(columns), "-y", str(lines))
        # Without the status line, which would take a line of the window.
        subprocess.run(
            [*self._tmux, "new-session", "-d", *size, *kept, *command, ";", "set", "status", "off"],
            check=True,
            env={**os.environ, **(environment or {}), "TMUX": ""},
        )

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
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    @property
    def text(self) -> str:
        """What is in the window; empty once the program has ended."""
        shown = subprocess.run(
            [*self._tmux, "capture-pane", "-p"], check=False, capture_output=True, text=True
        )
        return shown.stdout

    def wait_for(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """Wait until the window shows a regular expression; returns the match.

        Raises:
            AssertionError: it does not within the time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.text):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} was not in the window within {seconds:g} s")

    def press(self, *keys: str) -> None:
        """Press keys, by name (``enter``) or as text."""
        for key in keys:
            sent = [_NAMES[key]] if key in _NAMES else ["-l", key]
            subprocess.run([*self._tmux, "send-keys", *sent], check=True)

    def type_blind(self, *keys: str, pause: float) -> None:
        """Press every key of names and texts, without a look at the window between them.

        Args:
            keys: names (``enter``) and texts, whose characters are pressed one by one.
            pause: seconds between two keys; 0 sends all in one burst.
        """
        sent = [[_NAMES[key]] if key in _NAMES else ["-l", key] for key in keys]
        if not pause:
            command = [part for one in sent for part in (";", "send-keys", *one)]
            subprocess.run([*self._tmux, *command[1:]], check=True)
            return
        for name, *text in sent:
            for key in text[0] if text else [""]:
                subprocess.run([*self._tmux, "send-keys", name, *([key] * bool(key))], check=True)
                time.sleep(pause)

    def wait_until_ended(self, seconds: float = 30.0) -> int:
        """Wait for the program's end; returns its exit status.

        Raises:
            AssertionError: it does not end within the time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._status.exists() and (status := self._status.read_text()):
                return int(status)
            time.sleep(0.1)
        raise AssertionError(f"the program did not end within {seconds:g} s")
