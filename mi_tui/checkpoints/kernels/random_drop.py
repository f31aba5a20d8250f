"""The random drop of DARE (Yu et al. 2023, arXiv 2311.03099), drawn as torch draws it.

``torch.bernoulli`` on the CPU takes one output of the Mersenne Twister for each element and
compares its lower 24 bits with the probability. NumPy's ``RandomState`` is the same generator
with the same seeding, and its stream is frozen (NEP 19), so the mask equals torch's without torch.
"""

import hashlib
import math
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]

_BITS = 24


def seed_of(seed: int, role: str, tensor: str) -> int:
    """The seed, below 2³², of one checkpoint's change of one tensor.

    Each change has a stream of its own, so that the mask depends on neither the order in which
    tensors are merged nor the number of threads.
    """
    digest = hashlib.sha256(f"{seed}/{role}/{tensor}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


class Drop:
    """Keeps each element of one tensor with probability ``density`` (0 to 1).

    The mask is that of ``torch.manual_seed(seed)`` and ``torch.bernoulli`` over a float32 tensor
    on the CPU.
    """

    def __init__(self, seed: int, density: float) -> None:
        self._stream = np.random.RandomState(seed)
        self._keeps_all = density >= 1.0
        self._limit = math.ceil(float(np.float32(density)) * 2**_BITS)

    def apply(self, delta: Floats) -> None:
        """Set to zero what is dropped; to be called for each chunk once, in order."""
        if self._keeps_all:
            return
        drawn = np.frombuffer(self._stream.bytes(4 * len(delta)), np.dtype("<u4"))
        np.multiply(delta, (drawn & (2**_BITS - 1)) < self._limit, out=delta)
