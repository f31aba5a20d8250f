"""Runs the command in this process: what it prints, and the status it ends with."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from mi_tui.cli import main


@dataclass(frozen=True)
class Done:
    """What a command printed and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str) -> Done:
    """Run ``mi-tui`` with these arguments, its output in pipes."""
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with (
        mock.patch.object(sys, "argv", ["mi-tui", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.run()
        except SystemExit as ending:
            status = ending.code
    return Done(int(str(status or 0)), out.getvalue(), err.getvalue())
