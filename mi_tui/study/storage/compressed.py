"""Compressed values of a study's file, which anyone may have written, read within a bound."""

import zlib

LARGEST = 1 << 28
"""Bytes of one value: the columns of millions of rollouts, or a probe with its problems."""

LARGEST_TEXT = 1 << 26
"""Bytes of one response: many times the longest that any model writes."""


def decompressed(body: bytes, limit: int = LARGEST) -> bytes:
    """What :func:`zlib.compress` was given.

    Raises:
        ValueError: it is damaged, or has more than ``limit`` bytes.
    """
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise ValueError(f"not compressed as it should be ({error})") from error
    if len(content) > limit:
        raise ValueError("far too large when decompressed")
    if not reader.eof:
        raise ValueError("cut short")
    return content
