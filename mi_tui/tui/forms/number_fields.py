"""Parsers of the numbers that are typed into forms."""

from mi_tui.plan.numbers import number


def parse_grid(text: str) -> tuple[float, ...]:
    """Read ``0, 0.2, 0.5, 1`` or ``0-1 by 0.1`` as values of λ.

    Raises:
        ValueError: the text is neither, a value lies outside [0, 1], or there is only one.
    """
    try:
        if "by" in text:
            values = _steps(text)
        else:
            values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("values of λ from 0 to 1: 0, 0.2, 0.5, 1 or 0-1 by 0.1") from None
    if any(not 0.0 <= value <= 1.0 for value in values):
        raise ValueError("λ lies between 0 (Instruct) and 1 (Thinking)")
    if len(set(values)) < 2:
        raise ValueError("at least two values of λ")
    return tuple(sorted(set(values)))


def _steps(text: str) -> tuple[float, ...]:
    """The values of ``0-1 by 0.1``."""
    span, _, by = text.partition("by")
    first, last = (float(part) for part in span.split("-"))
    step = float(by)
    # Both ends now: a slip such as 0-1000 must not be counted out in steps first.
    if not (0.0 <= first <= last <= 1.0 and step >= 0.005):
        raise ValueError(text)
    return tuple(round(first + i * step, 6) for i in range(int((last - first) / step + 1e-9) + 1))


def lambdas(text: str) -> tuple[float, ...]:
    """Values of λ, parted by commas or spaces.

    Raises:
        ValueError: there is none, or one lies outside [0, 1]; the message is what is wanted.
    """
    wanted = "values from 0 to 1, for example 0.55, 0.65"
    try:
        values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(wanted) from None
    if not values or any(not 0.0 <= value <= 1.0 for value in values):
        raise ValueError(wanted)
    return values


def minutes(text: str) -> float | None:
    """A number above 0, or ``None`` for an empty field.

    Raises:
        ValueError: the text says something else; the message is what is wanted.
    """
    return number(text, above=0.0) if text.strip() else None


def confidence(text: str) -> float:
    """A probability typed in per cent, between 0.5 and 1.

    Raises:
        ValueError: the text says something else; the message is what is wanted.
    """
    value = number(text, most=100.0) / 100
    if not 0.5 < value < 1.0:
        raise ValueError("between 50 and 100 %, both excluded")
    return value
