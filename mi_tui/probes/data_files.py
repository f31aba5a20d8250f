"""Records of a data set: a local file, or one on the hub."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mi_tui.paths import is_directory
from mi_tui.probes.errors import ProbeError, missing_extra
from mi_tui.probes.files.csv_rows import csv_rows
from mi_tui.probes.files.json_rows import json_rows, jsonl_rows, parse_json
from mi_tui.probes.files.parquet_rows import parquet_rows
from mi_tui.probes.files.text import Row, is_number, read_text, require_file
from mi_tui.probes.text import shown_line

_OF_TEXT = {
    ".jsonl": jsonl_rows,
    ".ndjson": jsonl_rows,
    ".json": json_rows,
    ".csv": csv_rows,
    ".tsv": csv_rows,
}
"""What reads the text of a file, by how its name ends; ``.gz`` may follow."""

_PARQUET = ".parquet"


@dataclass(frozen=True, slots=True)
class Record:
    """One record and where it stands, for errors: ``problems.jsonl row 3``.

    ``called`` has the names in the file of columns that are called otherwise there.
    """

    where: str
    values: dict[str, Any]
    called: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, columns: Mapping[str, str]) -> "Record":
        """The record with these columns, each from the one that it has in the file."""
        values = dict(self.values)
        for name, in_file in columns.items():
            values.pop(name, None)
            if in_file in self.values:
                values[name] = self.values[in_file]
        return Record(self.where, values, columns)

    def _named(self, name: str) -> str:
        in_file = self.called.get(name)
        return f"{name} (column {shown_line(in_file, 60)})" if in_file else name

    def text(self, *names: str) -> str:
        """The first of these columns that is filled, as text.

        Raises:
            ProbeError: none is there, or it is neither text nor a number.
        """
        for name in names:
            if text := self.optional(name):
                return text
        raise ProbeError(f"{self.where}: {' or '.join(map(self._named, names))} is missing")

    def optional(self, name: str) -> str:
        """A column as text; empty where it holds nothing but spaces.

        Raises:
            ProbeError: it is neither text nor a number.
        """
        value = self.values.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return ""
        if isinstance(value, bool | dict | list | tuple | float) and not is_number(value):
            raise ProbeError(f"{self.where}: {self._named(name)} must be text or a number")
        return str(value)

    def parsed(self, name: str, kind: type) -> Any:
        """A column that holds JSON of a kind, a value in JSONL and text in CSV, or ``None``.

        Raises:
            ProbeError: it is no JSON, or of another kind.
        """
        value = self.values.get(name)
        if isinstance(value, str):
            value = parse_json(value, f"{self.where}: {self._named(name)}")
        if value is not None and not isinstance(value, kind):
            raise ProbeError(f"{self.where}: {self._named(name)} must be a {kind.__name__}")
        return value


def read_file(path: Path) -> list[Record]:
    """The records of a file, by line in JSONL, without the header in CSV, numbered from 1.

    Args:
        path: a JSONL, JSON, CSV or TSV file, which may be packed (``.gz``), or a Parquet file.

    Raises:
        ProbeError: the file cannot be read or a record is malformed; the message names its row.
    """
    name = shown_line(path.name)
    records = [Record(f"{name} row {number}", row) for number, row in _rows(path)]
    if not records:
        raise ProbeError(f"{shown_line(path)} has no rows")
    return records


def _rows(path: Path) -> Iterator[Row]:
    shown = shown_line(path)
    if is_directory(path):
        require_file(path)
    name = path.name.lower()
    if name.endswith(_PARQUET):
        require_file(path)
        return parquet_rows(path)
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in _OF_TEXT:
        known = ", ".join((*_OF_TEXT, _PARQUET))
        raise ProbeError(f"cannot read {shown}: use a file that ends with {known}")
    return _OF_TEXT[kind](shown_line(path.name), read_text(path))


def read_hub(
    source: str, name: str | None, split: str, what: str, gated: bool = False
) -> list[Record]:
    """The records of a data set on the hub, through the ``datasets`` library and its cache.

    Args:
        source: ``owner/name``.
        name: the configuration, if there are several.
        split: usually ``test`` or ``train``.
        what: the benchmark's name, for messages.
        gated: whether the owner must grant access first.

    Raises:
        ProbeError: the library is missing, access is not granted, or nothing can be loaded.
    """
    try:
        import datasets
    except ImportError as error:
        raise ProbeError(missing_extra(f"loading {what} from the hub")) from error
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(source, name, split=split)
    except Exception as error:
        raise ProbeError(_hub_failure(source, what, gated, error)) from error
    return _numbered(source, loaded)


def _hub_failure(source: str, what: str, gated: bool, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    if gated and ("gated" in reason or "401" in reason or "403" in reason):
        return (
            f"{what} is gated and your token lacks access: accept its terms on "
            f"https://huggingface.co/datasets/{source}, log in with: hf auth login, and start again"
        )
    return (
        f"cannot load {what} from the hub ({source}): {reason}; "
        'with path = "FILE" a local copy is read instead'
    )


def _numbered(where: str, records: Iterable[dict[str, Any]]) -> list[Record]:
    return [
        Record(f"{where} row {number}", dict(record))
        for number, record in enumerate(records, start=1)
    ]
