"""Packed rollouts: compressed columns that load at once."""

import io
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Answers = dict[tuple[int, str], int]
"""The number of each problem's distinct answers, by (problem index, answer)."""

_FASTEST = 1


def pack(columns: dict[str, NDArray[Any]], answers: Answers) -> bytes:
    """Columns of equal length as bytes, with the answers that are numbered in ``answer``.

    Args:
        columns: integers (of at least −1), float64 and bool; ``answer`` is among them.
        answers: all answers numbered so far; those in ``columns["answer"]`` are kept.
    """
    numbers = set(np.unique(columns["answer"]).tolist())
    kept = [[problem, text, n] for (problem, text), n in answers.items() if n in numbers]
    parts = {name: _narrow(values) for name, values in columns.items()}
    parts["answers"] = np.frombuffer(json.dumps(kept).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **parts)  # type: ignore[arg-type]
    return zlib.compress(buffer.getbuffer(), _FASTEST)


def unpack(body: bytes, answers: Answers) -> dict[str, NDArray[Any]]:
    """The columns that :func:`pack` was given; their answers are added to ``answers``."""
    with np.load(io.BytesIO(zlib.decompress(body)), allow_pickle=False) as parts:
        columns = {name: parts[name] for name in parts.files}
    for problem, text, number in json.loads(columns.pop("answers").tobytes()):
        answers[problem, text] = number
    return columns


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest type that holds them."""
    if values.dtype.kind != "i" or not len(values):
        return values
    return values.astype(np.result_type(np.min_scalar_type(values.max()), np.int8))
