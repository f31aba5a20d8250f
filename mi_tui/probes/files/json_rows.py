"""Rows of JSON: one object a line, or one list of objects."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.files.text import Row, require_text, undecodable
from mi_tui.text.plain_text import SURROGATES

_SPACES = re.compile(r"[ \t\r\n]*")
_LINE_ENDS = re.compile("\r\n|\n|\r")
_MOST_DIGITS = 4000
"""Python refuses to read longer integers."""


class _RefusedError(ValueError):
    """What is legal JSON, and yet would not be read as it is written."""


def jsonl_rows(where: str, text: str) -> Iterator[Row]:
    """The object of each line, by the number of the line; empty lines are left out.

    Raises:
        ProbeError: a line is no JSON object, names a key twice, or holds a text that is none or a
            number that cannot be read as it is; the message names the row.
    """
    for number, line in enumerate(_LINE_ENDS.split(text), start=1):
        if line.strip():
            place = f"{where} row {number}"
            if SURROGATES.search(line):
                raise undecodable(line, place)
            yield number, _object(_whole(line, place), place)


def json_rows(where: str, text: str) -> Iterator[Row]:
    """The objects of one list, by their place in it; or those of lines, as in JSONL.

    Raises:
        ProbeError: as :func:`jsonl_rows`.
    """
    at = _next(text, 0)
    if text[at : at + 1] == "{":
        yield from _lines(where, text)
        return
    if at == len(text):
        return
    if text[at] != "[":
        raise ProbeError(f"{where} must be a list of JSON objects: [{{...}}, ...]")
    raw = bool(SURROGATES.search(text))
    number, at = 0, _next(text, at + 1)
    while at < len(text) and text[at] != "]":
        number += 1
        place = f"{where} row {number}"
        row, at = _parsed(text, place, at)
        yield number, _object(row, place, raw=raw)
        at = _next(text, at)
        if text[at : at + 1] == ",":
            at = _next(text, at + 1)
        elif text[at : at + 1] != "]":
            raise ProbeError(f"{place}: a comma or ] is missing behind it (character {at})")
    if at == len(text):
        raise ProbeError(f"{where} row {number + 1} is not JSON: the list is not closed")
    if _next(text, at + 1) < len(text):
        raise ProbeError(f"{where} goes on behind its list, after row {number}")


def parse_json(text: str, place: str) -> Any:
    """The value of a JSON text, as strictly as in files.

    Raises:
        ProbeError: as :func:`jsonl_rows`; ``place`` names where it stands.
    """
    value = _whole(text, place)
    require_text({"": value}, place, raw=False)
    return value


def _whole(text: str, place: str) -> Any:
    value, end = _parsed(text, place, _next(text, 0))
    if _next(text, end) < len(text):
        raise ProbeError(f"{place} is not JSON: something stands behind it (character {end})")
    return value


def _lines(where: str, text: str) -> Iterator[Row]:
    """As :func:`jsonl_rows`, for a file that might as well be one object over many lines."""
    rows = jsonl_rows(where, text)
    try:
        first = next(rows)
    except ProbeError as error:
        if len(text.strip().splitlines()) > 1 and "is not JSON" in str(error):
            raise ProbeError(
                f"{where} must be a list of JSON objects, [{{...}}, ...], or have one on each line"
            ) from error
        raise
    yield first
    yield from rows


def _object(row: Any, place: str, *, raw: bool = False) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ProbeError(f"{place} must be a JSON object: {{...}}")
    require_text(row, place, raw=raw)
    return row


def _parsed(text: str, place: str, at: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends."""
    try:
        return _DECODER.raw_decode(text, at)
    except _RefusedError as error:
        raise ProbeError(f"{place}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ProbeError(f"{place} is not JSON: {error}") from error


def _next(text: str, at: int) -> int:
    """Where white space ends."""
    found = _SPACES.match(text, at)
    return found.end() if found else at


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _RefusedError(f"the key {name!r} stands twice in one object")
        found[name] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise _RefusedError(f"an integer of {len(digits):,} digits: write it as text, in quotes")
    return int(digits)


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), -float("inf")):
        raise _RefusedError(f"{text[:40]} is too large for a number: write it as text, in quotes")
    return number


def _constant(name: str) -> float:
    raise _RefusedError(f"{name} is not JSON: write null, or text in quotes")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=_integer, parse_float=_number, parse_constant=_constant
)
