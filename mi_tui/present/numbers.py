"""The spelling of numbers on every screen, one for each quantity."""

import math
import time

from mi_tui.analysis.results import Estimate
from mi_tui.plan.recipe import Decoding
from mi_tui.text import percent as shares
from mi_tui.text.percent import MISSING as MISSING
from mi_tui.text.percent import percent as percent


def percent_interval(estimate: Estimate | None, digits: int = 1) -> str:
    """A share with half its interval's width, in at most 12 characters: ``62.1 ± 5.2 %``."""
    if estimate is None or math.isnan(estimate.value):
        return MISSING
    half = (estimate.high - estimate.low) / 2
    if half >= 0.0995:  # the digits behind the point would say nothing, and need room
        digits = 0
    value = f"{100 * estimate.value:.{digits}f}".replace("100.0", "100")
    return f"{value} ± {100 * half:.{digits}f} %"


def percent_range(estimate: Estimate | None) -> str:
    """A share with the ends of its interval: ``62.1 % (57.0 – 67.3)``."""
    if estimate is None:
        return MISSING
    return shares.percent_range(estimate.value, estimate.low, estimate.high)


def points(difference: Estimate) -> str:
    """A difference of scores in points: ``-3.1 ± 2.4``."""
    half = (difference.high - difference.low) / 2
    return f"{100 * difference.value:+.1f} ± {100 * half:.1f}"


def points_range(difference: Estimate) -> str:
    """A difference of scores with the ends of its interval: ``3.7 points (-3.4 – 9.9)``."""
    value, low, high = (100 * part for part in (difference.value, difference.low, difference.high))
    return f"{value:.1f} points ({low:.1f} – {high:.1f})"


def ratio(value: float) -> str:
    """How many times as much: ``×0.54``."""
    return f"×{value:.2f}"


def lambda_(value: float) -> str:
    """λ without superfluous zeros: ``0.55``, ``0.7``."""
    return f"{value:g}"


def sigma(value: float) -> str:
    """A relative gap σ: ``0.0269``."""
    return f"{value:.4f}"


def count(number: float) -> str:
    """A count in at most five characters: ``950``, ``12.3k``, ``4.1M``."""
    if math.isnan(number):
        return MISSING
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            shown = number / (1e3 if suffix == "k" else size)
            return f"{shown:.0f}{suffix}" if shown >= 100 else f"{shown:.1f}{suffix}"
    return f"{number:.0f}"


def tokens(estimate: Estimate, censored: bool = False) -> str:
    """Tokens per response with half the interval's width; ``≥`` when lengths were cut."""
    half = (estimate.high - estimate.low) / 2
    around = count(half) if _is_known(estimate) else "?"
    return f"{'≥' if censored else ''}{count(estimate.value)} ± {around}"


def _is_known(estimate: Estimate) -> bool:
    """Whether an interval of a length says anything: that of a response or two does not yet."""
    return (estimate.high - estimate.low) / 2 < 10 * estimate.value or estimate.high == estimate.low


def token_range(estimate: Estimate) -> str:
    """Tokens with the ends of their interval: ``51 (46 – 56)``."""
    return f"{count(estimate.value)} ({count(estimate.low)} – {count(estimate.high)})"


def seconds(value: float | None) -> str:
    """The time of one response: ``0.31 s``, ``12 s``, ``3.5 min``."""
    if value is None:
        return MISSING
    size, digits, unit = _unit_of_seconds(value)
    return f"{value / size:.{digits}f} {unit}"


def seconds_interval(estimate: Estimate | None) -> str:
    """The time of one response with half its interval's width: ``0.31 ± 0.02 s``."""
    if estimate is None:
        return MISSING
    size, digits, unit = _unit_of_seconds(estimate.value)
    half = (estimate.high - estimate.low) / 2
    around = f"{half / size:.{digits}f}" if _is_known(estimate) else "?"
    return f"{estimate.value / size:.{digits}f} ± {around} {unit}"


def seconds_range(estimate: Estimate) -> str:
    """The time of one response with the ends of its interval: ``0.31 s (0.29 – 0.33)``."""
    size, digits, _ = _unit_of_seconds(estimate.value)
    low, high = estimate.low / size, estimate.high / size
    return f"{seconds(estimate.value)} ({low:.{digits}f} – {high:.{digits}f})"


def _unit_of_seconds(value: float) -> tuple[float, int, str]:
    """What to divide by, the digits behind the point, and the unit."""
    if value < 10:
        return 1.0, 2, "s"
    if value < 100:
        return 1.0, 0, "s"
    return 60.0, 1 if value < 600 else 0, "min"


def milliseconds(value: float) -> str:
    """Seconds as milliseconds: ``12.3 ms``."""
    return f"{1000 * value:.3g} ms"


def duration(value: float | None) -> str:
    """A time to wait or passed: ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``3.1 d``."""
    if value is None:
        return MISSING
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole / 86400:.1f} d"


def clock(ahead: float, now: float | None = None) -> str:
    """The local time so many seconds ahead: ``14:05``, on another day ``Fri 14:05``."""
    begun = time.time() if now is None else now
    today, then = time.localtime(begun), time.localtime(begun + ahead)
    same = (today.tm_year, today.tm_yday) == (then.tm_year, then.tm_yday)
    return time.strftime("%H:%M" if same else "%a %H:%M", then)


def ago(moment: float, now: float | None = None) -> str:
    """How long ago a Unix time was: ``just now``, ``5 min ago``, ``3 d ago``."""
    passed = max(0.0, (time.time() if now is None else now) - moment)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= size:
            return f"{passed // size:.0f} {unit} ago"
    return "just now"


def decoding(sampled: Decoding) -> str:
    """Temperature and top-p in a few cells: ``.6/.95``, ``1/.8``, ``greedy``."""
    if sampled.temperature == 0:
        return "greedy"
    return f"{sampled.temperature:g}/{sampled.top_p:g}".replace("0.", ".")


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` characters, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def bar(share: float, width: int) -> str:
    """A progress bar of plain blocks, ``width`` characters long."""
    filled = round(min(1.0, max(0.0, share)) * width)
    return "━" * filled + "─" * (width - filled)
