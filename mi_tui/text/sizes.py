"""Sizes in words: bytes with a binary unit, and counts of parameters."""

GIB = 2**30
"""Bytes in a GiB."""


def in_bytes(size: float) -> str:
    """A size in bytes with a binary unit: ``1.16 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} TiB"


def in_numbers(count: float) -> str:
    """A number of parameters: ``605 k``, ``4.02 B``."""
    for unit in ("", " k", " M", " B"):
        if count < 999.5:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g} T"
