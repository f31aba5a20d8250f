"""The opener of files: the desktop's program for them, where there is a desktop."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def opener() -> str | None:
    """The program that opens a file on this desktop; ``None`` without one, and over SSH.

    A browser inside the terminal, which Python's ``webbrowser`` might choose, would draw over us.
    """
    if any(name.startswith("SSH_") for name in os.environ):
        return None
    if sys.platform == "darwin":
        return shutil.which("open")
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return shutil.which("xdg-open")
    return None


def open_file(path: Path) -> bool:
    """Open a file with the desktop's program; whether one was started."""
    program = opener()
    if program is None:
        return False
    nowhere = subprocess.DEVNULL
    try:
        subprocess.Popen(
            [program, str(path)],
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,
        )
    except OSError:
        return False
    return True
