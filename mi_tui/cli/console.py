"""The consoles: data to standard output, everything else to standard error."""

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from mi_tui.errors import MiTuiError

if TYPE_CHECKING:
    from rich.console import Console

_WIDEST = 400
"""Columns of a table in a file or a pipe."""

# rich is imported at the first use: --help must be quick.


def let_streams_write_anything() -> None:
    """Where the locale has no λ, write ``?`` in its place rather than end in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
            stream.reconfigure(errors="replace")


def _is_unicode(stream: TextIO) -> bool:
    return "utf" in (stream.encoding or "").lower()


def need_terminal() -> None:
    """Make sure that the app can be drawn and can read keys.

    Raises:
        MiTuiError: there is no terminal, or one that cannot place its cursor.
    """
    instead = "mi-tui run PRESET and mi-tui watch --plain STUDY work without"
    # The app draws on standard error, so that standard output may be piped.
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise MiTuiError(f"the app needs a terminal: {instead}")
    if os.environ.get("TERM") == "dumb":
        raise MiTuiError(f"the app cannot be drawn where TERM is dumb: {instead}")


def err() -> "Console":
    """A console on standard error, for progress and remarks; honours ``NO_COLOR``."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, **_room(sys.stderr))


def out() -> "Console":
    """A console on standard output, for tables a person reads."""
    from rich.console import Console

    return Console(highlight=False, **_room(sys.stdout))


def _room(stream: TextIO) -> dict[str, Any]:
    """Lines as long as they are, and tables as wide, where no terminal ends them."""
    if stream.isatty():
        return {}
    return {"soft_wrap": True} | ({} if "COLUMNS" in os.environ else {"width": _WIDEST})


def print_json(data: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(data, indent=2, ensure_ascii=not _is_unicode(sys.stdout)))


def color_environment(color: str | None) -> None:
    """Make ``--color`` known to rich and textual; must come before textual is imported."""
    if color == "none":
        os.environ["NO_COLOR"] = "1"
    elif color == "truecolor":
        os.environ.update(COLORTERM="truecolor")
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
    elif color in ("256", "16"):
        os.environ["TEXTUAL_COLOR_SYSTEM"] = {"256": "256", "16": "standard"}[color]
