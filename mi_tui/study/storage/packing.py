"""Packed rollouts: compressed columns that load at once."""

import io
import json
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.study.storage.compressed import decompressed

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
    """The columns that :func:`pack` was given; their answers are added to ``answers``.

    Raises:
        ValueError: it is something else, or far too large.
    """
    try:
        columns = _members(decompressed(body))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"no packed columns ({error})") from error
    for problem, text, number in json.loads(columns.pop("answers").tobytes()):
        answers[int(problem), str(text)] = int(number)
    return columns


def _members(content: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # Nothing is compressed twice: what the members claim, they hold.
        if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
            raise ValueError("compressed columns")
        return {
            name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()
        }


def _array(content: bytes) -> NDArray[Any]:
    """An array in NumPy's format, of the size that there is, and of numbers.

    NumPy makes room for what a header claims before it looks whether so much is there.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"columns of version {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "iufb" or len(shape) != 1:
        raise ValueError(f"a column of {dtype}, {len(shape)} dimensions")
    return np.frombuffer(content, dtype, count=shape[0], offset=stream.tell())


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the smallest type that holds them."""
    if values.dtype.kind != "i" or not len(values):
        return values
    return values.astype(np.result_type(np.min_scalar_type(values.max()), np.int8))
