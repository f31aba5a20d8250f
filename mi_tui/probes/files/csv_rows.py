"""Rows of CSV: by commas, semicolons, tabs or bars."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.files.text import Row, require_text, undecodable
from mi_tui.probes.text import shown_line
from mi_tui.text.plain_text import SURROGATES

_SEPARATORS = ",;\t|"

# A prompt may be longer than the 131,072 characters that the module allows by itself.
csv.field_size_limit(2**31 - 1)


def csv_rows(where: str, text: str) -> Iterator[Row]:
    """The rows below the header, numbered from 1; empty cells and empty lines are left out.

    The separator is the comma where the header has one, else a semicolon, tab or bar in it; a
    first line ``sep=;`` says it.

    Raises:
        ProbeError: the header has a name twice, or a row is no CSV, has another number of columns
            than the header, or holds a text that is none; the message names the row.
    """
    text, separator = _separated(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    try:
        header = [name.strip().lstrip("\ufeff") for name in next(_filled(reader), [])]
        _require_header(where, header)
        for number, cells in enumerate(_filled(reader), start=1):
            place = f"{where} row {number}"
            if len(cells) != len(header):
                more = "more" if len(cells) > len(header) else "fewer"
                raise ProbeError(
                    f"{place} has {more} columns than the header: {len(cells)} of {len(header)}"
                )
            row: dict[str, Any] = {
                name: cell for name, cell in zip(header, cells, strict=True) if name and cell
            }
            require_text(row, place, raw=True)
            if [cell.strip() for cell in cells] == header:
                raise ProbeError(f"{place} is the header again: take it out")
            yield number, row
    except csv.Error as error:
        raise ProbeError(f"{where} row {number + 1} is not CSV: {error}") from error


def _filled(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    return (cells for cells in reader if cells)


def _require_header(where: str, header: list[str]) -> None:
    for name, count in Counter(header).items():
        if SURROGATES.search(name):
            raise undecodable(name, f"{where}: the header")
        if name and count > 1:
            raise ProbeError(f"{where}: the header has the column {shown_line(name, 60)} twice")


def _separated(text: str) -> tuple[str, str]:
    """The text without the line that names the separator, and the separator."""
    first, _, rest = text.partition("\n")
    said = first.strip().strip('"')
    if said.lower().startswith("sep=") and len(said) == 5:
        return rest, said[-1]
    if said.lower() == "sep=":  # a tab, stripped with the white space
        return rest, "\t"
    counts = {separator: _columns(text, separator) for separator in _SEPARATORS}
    if counts[","] > 1:
        return text, ","
    return text, max(_SEPARATORS, key=counts.__getitem__)


def _columns(text: str, separator: str) -> int:
    """The columns of the header under a separator."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return len(next(_filled(reader), []))
    except csv.Error:
        return 0
