"""Parsers of ``merge`` options that hold more than one value."""

import math
from collections.abc import Sequence

from mi_tui.errors import MiTuiError
from mi_tui.plan.scope import ALL_MODULES


def rule(text: str) -> dict[str, object]:
    """What ``--rule "lambda=0.2 layers=0-11 modules=ffn,norms"`` says."""
    said: dict[str, object] = {}
    for part in text.split():
        key, _, value = part.partition("=")
        if key == "lambda":
            try:
                said[key] = float(value)
            except ValueError:
                value = ""
        elif key == "modules":
            said[key] = modules(value)
        elif key == "layers":
            said[key] = value
        if key not in said or not value:
            raise MiTuiError(
                f'--rule "{text}": write for example "lambda=0.2 layers=0-11 modules=ffn,norms"'
            )
    return said


def modules(text: str) -> tuple[str, ...]:
    """The module kinds in ``all`` or ``attention,ffn``."""
    return ALL_MODULES if text == "all" else tuple(part.strip() for part in text.split(","))


def weighted(models: Sequence[str]) -> list[tuple[str, float]]:
    """Reference and weight of each PATH=WEIGHT."""
    found = []
    for text in models:
        reference, equals, weight = text.rpartition("=")
        try:
            found.append((reference, float(weight)))
        except ValueError:
            equals = ""
        if not equals or not math.isfinite(found[-1][1]):
            raise MiTuiError(f"--model {text}: write PATH=WEIGHT, for example models/a=0.3")
    return found


def position(donor: str | None, count: int) -> int:
    """Where in a weighted sum the donor stands."""
    if donor is None:
        return count - 1
    if not (donor.isascii() and donor.isdigit() and 1 <= int(donor) <= count):
        raise MiTuiError(f"--donor {donor}: of a weighted sum write the number, 1 to {count}")
    return int(donor) - 1
