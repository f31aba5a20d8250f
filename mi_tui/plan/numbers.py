"""Numbers as they are typed: read, or refused with what is wanted."""


def number(text: str, *, above: float | None = None, most: float | None = None) -> float:
    """A finite number from 0, above ``above`` and up to ``most`` where given.

    Raises:
        ValueError: the text says something else; the message is what is wanted.
    """
    wanted = "a number" + (f" up to {most:g}" if most is not None else "")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if above is not None and not value > above:
        raise ValueError(f"{wanted}, more than {above:g}")
    if value != value or value < 0 or (most is not None and value > most) or value == float("inf"):
        raise ValueError(f"{wanted}, not {text.strip()}")
    return value


def whole(text: str, *, least: int, most: int | None = None) -> int:
    """A whole number from ``least``, up to ``most`` where given.

    Raises:
        ValueError: the text says something else; the message is what is wanted.
    """
    wanted = f"a whole number from {least}" + (f" to {most}" if most is not None else "")
    try:
        value = int(text)  # a number of thousands of digits is a ValueError, too
    except ValueError:
        raise ValueError(wanted) from None
    if value < least or (most is not None and value > most):
        raise ValueError(wanted)
    return value


def optional(text: str, *, least: int = 1) -> int | None:
    """A whole number from ``least``, or ``None`` for an empty field.

    Raises:
        ValueError: the text says something else; the message is what is wanted.
    """
    return whole(text, least=least) if text.strip() else None
