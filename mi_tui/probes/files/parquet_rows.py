"""Rows of Parquet."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mi_tui.probes.errors import ProbeError, missing_extra
from mi_tui.probes.files.text import Row, require_text
from mi_tui.probes.text import shown_line


def parquet_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, numbered from 1; binary columns are read as UTF-8 text.

    Raises:
        ProbeError: pyarrow is not installed, the file cannot be read, has a column twice, or a row
            holds a text that is none; the message names the row.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ProbeError(missing_extra(f"reading {shown_line(path.name)}")) from error
    try:
        # Not read_table, which takes further columns from the names of the folders above.
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except Exception as error:
        raise ProbeError(f"cannot read {shown_line(path)}: {shown_line(error, 200)}") from error
    for name, count in Counter(table.column_names).items():
        if count > 1:
            raise ProbeError(f"{shown_line(path.name)} has the column {shown_line(name, 60)} twice")
    for number in range(1, table.num_rows + 1):
        place = f"{shown_line(path.name)} row {number}"
        row = {
            name: _value(column[number - 1], place, name)
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
        require_text(row, place, raw=False)
        yield number, row


def _value(cell: Any, place: str, column: str) -> Any:
    try:
        value = cell.as_py()
        return value.decode("utf-8") if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise ProbeError(
            f"{place}: it is not UTF-8 text in column {shown_line(column, 60)} "
            f"(byte 0x{error.object[error.start]:02X}): write it as UTF-8"
        ) from error
