"""The load of the GPUs, as ``nvidia-smi`` tells it now and then; nothing where there is none."""

import os
import shutil
import subprocess
import threading
import time

from mi_tui.text.percent import percent

_EVERY = 5.0
"""Seconds between two questions; each starts a program."""

_SECONDS = 5.0
"""How long an answer may take."""


class GpuLoad:
    """The share of time in which the visible GPUs were busy, read on a thread of its own.

    Args:
        program: ``nvidia-smi``; by default the one on the path, and nothing is asked without one.
    """

    def __init__(self, program: str | None = None) -> None:
        self._program = program or shutil.which("nvidia-smi")
        self._words = ""
        self._next = 0.0
        self._asking: threading.Thread | None = None

    def words(self) -> str:
        """The load as it was last read, such as ``83 % busy``; empty before and without one."""
        idle = self._asking is None or not self._asking.is_alive()
        if self._program is not None and idle and time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY
            self._asking = threading.Thread(target=self._ask, name="GPU load", daemon=True)
            self._asking.start()
        return self._words

    def wait(self) -> None:
        """Wait for the answer under way."""
        if self._asking is not None:
            self._asking.join()

    def _ask(self) -> None:
        assert self._program is not None
        command = [self._program, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        shown = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if shown and not shown.startswith("MIG"):
            command.append(f"--id={shown}")
        try:
            done = subprocess.run(
                command, capture_output=True, encoding="utf-8", errors="replace",
                timeout=_SECONDS, check=True,
            )  # fmt: skip
            loads = [int(line) for line in done.stdout.split("\n") if line.strip()]
        except (OSError, ValueError, subprocess.SubprocessError):
            loads = []  # a part of a GPU, say, tells none
        known = loads and all(0 <= load <= 100 for load in loads)
        self._words = f"{percent(sum(loads) / len(loads) / 100)} busy" if known else ""
