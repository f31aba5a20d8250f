"""The text of a data file, and the faults that no row of it may have."""

import gzip
import math
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.text import shown_line
from mi_tui.text.plain_text import SURROGATES

Row = tuple[int, dict[str, Any]]
"""The number of a row, from 1, and its columns."""

MOST_BYTES = 2 << 30
"""The largest file that is read, unpacked."""

_BAD_BYTES = re.compile("[\udc80-\udcff]+")
_OTHER_ENCODINGS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, unpacked where its name ends with ``.gz``.

    A byte order mark is left out. A byte that is not UTF-8 becomes a lone surrogate, from U+DC80
    to U+DCFF, which :func:`require_text` finds in the row where it stands.

    Raises:
        ProbeError: the file cannot be read, is packed or too large, or is UTF-16.
    """
    content = _content(path)
    if content.startswith(b"\x1f\x8b"):
        raise ProbeError(f"cannot read {shown_line(path)}: it is packed: name it {path.name}.gz")
    if encoding := _other_encoding(content):
        raise ProbeError(
            f"{shown_line(path.name)} row 1: the file is {encoding} text: save it as UTF-8"
        )
    # utf-8-sig: spreadsheets write a byte order mark.
    return content.decode("utf-8-sig", errors="surrogateescape")


def require_text(row: dict[str, Any], place: str, *, raw: bool) -> None:
    """Refuse a row with a text that no study can hold, or a number that is none.

    Args:
        row: its columns, with whatever JSON holds inside.
        place: where it stands, for errors.
        raw: whether surrogates can come from the bytes of the file alone.

    Raises:
        ProbeError: a text has bytes that are not UTF-8, half a character or a NUL byte, or a
            number is infinite; the message names the column.
    """
    for column, value in row.items():
        inside = f" in column {shown_line(column, 60)}" if column else ""
        for each in (column, *_texts(value)):
            if SURROGATES.search(each):
                raise _half(each, place, inside, raw=raw)
            if "\0" in each:
                raise ProbeError(f"{place} holds a NUL byte{inside}: take it out")


def undecodable(text: str, place: str) -> ProbeError:
    """The error for a text with bytes that are not UTF-8."""
    return _half(text, place, "", raw=True)


def _half(text: str, place: str, inside: str, *, raw: bool) -> ProbeError:
    bad = _BAD_BYTES.search(text)
    if not raw or bad is None:
        return ProbeError(f"{place} holds half a character{inside}: write it anew")
    near = text[max(bad.start() - 20, 0) : bad.end() + 20]
    # What most files that are not UTF-8 are.
    read = near.encode("utf-8", "surrogateescape").decode("cp1252", errors="replace")
    return ProbeError(
        f"{place}: it is not UTF-8 text{inside} (byte 0x{ord(bad[0][0]) - 0xDC00:02X}; as "
        f"Windows-1252 it reads {shown_line(read)!r}): save the file as UTF-8"
    )


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, names too, however deep."""
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            todo += [*each, *each.values()]
        elif isinstance(each, list | tuple):
            todo += each


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def require_file(path: Path) -> None:
    """Refuse what is no file of a size that can be read.

    Raises:
        ProbeError: it is not there, a directory, a pipe or device, or too large.
    """
    shown = shown_line(path)
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise ProbeError(f"cannot read {shown}: it is a directory: name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise ProbeError(f"cannot read {shown}: it is not a file")
    if found.st_size > MOST_BYTES:
        raise _too_large(path)


def _content(path: Path) -> bytes:
    require_file(path)
    try:
        if path.suffix.lower() != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            content = file.read(MOST_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ProbeError(
            f"cannot read {shown_line(path)}: it cannot be unpacked: {error}"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > MOST_BYTES:
        raise _too_large(path)
    return content


def _unreadable(path: Path, error: OSError) -> ProbeError:
    reason = (error.strerror or str(error)).lower()
    return ProbeError(f"cannot read {shown_line(path)}: {reason}")


def _too_large(path: Path) -> ProbeError:
    return ProbeError(
        f"cannot read {shown_line(path)}: more than {MOST_BYTES >> 30} GiB of text: take a part"
    )


def _other_encoding(content: bytes) -> str | None:
    """The name of an encoding other than UTF-8 that a file begins like."""
    for mark, name in _OTHER_ENCODINGS:
        if content.startswith(mark):
            return name
    first = content[:4]
    # Without a mark, the zero bytes between Latin letters tell.
    if len(first) == 4 and (first[0] > 0 == first[1] or first[1] > 0 == first[0]):
        return "UTF-16"
    return None
