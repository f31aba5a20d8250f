"""Where output goes: data to standard output, everything else to standard error."""

import json
import os
import sys
from typing import Any

from rich.console import Console


def err() -> Console:
    """A console on standard error, for progress and remarks; honours ``NO_COLOR``."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def out() -> Console:
    """A console on standard output, for tables a person reads."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def print_json(data: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(data, indent=2, ensure_ascii=False))


def color_environment(color: str | None) -> None:
    """Make ``--color`` known to rich and textual; must come before textual is imported."""
    if color == "none":
        os.environ["NO_COLOR"] = "1"
    elif color == "truecolor":
        os.environ.update(COLORTERM="truecolor")
        os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
    elif color in ("256", "16"):
        os.environ["TEXTUAL_COLOR_SYSTEM"] = {"256": "256", "16": "standard"}[color]
