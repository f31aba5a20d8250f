"""TIES merging (Yadav et al. 2023, arXiv 2306.01708): trim, elect a sign, merge disjointly.

Trimming keeps the largest part of a whole tensor's change. The limit is found exactly in two
passes over the tensor, with counts of the float's upper and lower bits instead of a sort, so
that memory does not grow with the tensor. Where several elements equal the limit, the first
ones in the tensor are kept.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Deltas = Callable[[], Iterable[Floats]]
"""Starts one pass over a tensor's changes, chunk by chunk; each chunk may be overwritten."""


@dataclass
class Trim:
    """What is kept of one tensor's change: all above ``limit`` and the first ``equal`` at it."""

    limit: np.float32
    equal: int

    def apply(self, delta: Floats) -> None:
        """Set to zero what is not kept; to be called for each chunk once, in order."""
        size = np.abs(delta)
        kept = size > self.limit
        if self.equal:
            at_limit = np.flatnonzero(size == self.limit)[: self.equal]
            kept[at_limit] = True
            self.equal -= len(at_limit)
        np.multiply(delta, kept, out=delta)


def find_trim(deltas: Deltas, count: int, density: float) -> Trim:
    """The limit that keeps ``density`` (0 to 1) of ``count`` elements, and at least one."""
    if density >= 1.0 or not count:
        return Trim(np.float32(-1.0), 0)
    keep = max(1, int(density * count))
    upper, above = _bucket_of(deltas, keep, None)
    lower, above = _bucket_of(deltas, keep - above, upper, above)
    limit = np.array([(upper << 16) | lower], np.uint32).view(np.float32)[0]
    return Trim(limit, keep - above)


def _bucket_of(deltas: Deltas, keep: int, upper: int | None, above: int = 0) -> tuple[int, int]:
    """The 16-bit bucket with the ``keep``-th largest element, and how many lie above it.

    The bits of non-negative floats are ordered like the floats. ``upper`` restricts the second
    pass to elements with those upper bits; ``above`` counts what lies above them.
    """
    counts = np.zeros(1 << 16, np.int64)
    for delta in deltas():
        bits = np.abs(delta, out=delta).view(np.uint32)
        part = bits >> 16 if upper is None else bits[bits >> 16 == upper] & 0xFFFF
        counts += np.bincount(part, minlength=1 << 16)
    reached = np.cumsum(counts[::-1])
    place = int(np.searchsorted(reached, keep))
    bucket = len(counts) - 1 - place
    return bucket, above + int(reached[place]) - int(counts[bucket])


def merge_disjoint(deltas: Sequence[tuple[float, Floats]], out: Floats) -> None:
    """Elect each element's sign and average the weighted changes that agree with it.

    Args:
        deltas: weight and trimmed change of each checkpoint; overwritten.
        out: receives the merged change.
    """
    for weight, delta in deltas:
        np.multiply(delta, np.float32(weight), out=delta)
    np.copyto(out, deltas[0][1])
    for _, delta in deltas[1:]:
        np.add(out, delta, out=out)
    sign = np.where(out >= 0, np.float32(1), np.float32(-1))
    out.fill(0)
    divisor = np.zeros_like(out)
    for weight, delta in deltas:
        agrees = np.sign(delta) == sign
        np.add(out, delta, out=out, where=agrees)
        np.add(divisor, np.float32(weight), out=divisor, where=agrees)
    np.divide(out, divisor, out=out, where=divisor != 0)
