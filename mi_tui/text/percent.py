"""The spelling of a share in per cent, the same wherever one is written."""

import math

MISSING = "–"
"""Written where there is no number yet."""


def percent(share: float | None, digits: int = 0) -> str:
    """A share from 0 to 1: ``62 %``; ``<1 %`` and ``>99 %`` where it is not quite none or all."""
    if share is None or math.isnan(share):
        return MISSING
    text = f"{100 * share:.{digits}f}"
    if digits == 0 and text == "0" and share > 0:
        return "<1 %"
    if digits == 0 and text == "100" and share < 1:
        return ">99 %"
    return f"{text} %"


def percent_range(value: float, low: float, high: float) -> str:
    """A share with the ends of its interval: ``62.1 % (57.0 – 67.3)``."""
    return f"{percent(value, 1)} ({100 * low:.1f} – {100 * high:.1f})"
