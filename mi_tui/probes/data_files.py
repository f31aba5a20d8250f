"""Records of a data set: a local JSONL, CSV or Parquet file, or one on the hub."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.probes.errors import ProbeError, missing_extra
from mi_tui.text.plain_text import SURROGATES

_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Record:
    """One record and where it stands, for errors: ``problems.jsonl row 3``."""

    where: str
    values: dict[str, Any]

    def text(self, *names: str) -> str:
        """The first of these columns that is filled, as text.

        Raises:
            ProbeError: none is there, or it is neither text nor a number.
        """
        for name in names:
            value = self.values.get(name)
            if isinstance(value, bool | dict | list):
                raise ProbeError(f"{self.where}: {name} must be text or a number")
            if value is not None and str(value).strip():
                return str(value)
        raise ProbeError(f"{self.where}: {' or '.join(names)} is missing")

    def parsed(self, name: str, kind: type) -> Any:
        """A column that holds JSON of a kind, a value in JSONL and text in CSV, or ``None``.

        Raises:
            ProbeError: it is no JSON, or of another kind.
        """
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise ProbeError(f"{self.where}: {name} is not JSON: {error}") from error
        if value is not None and not isinstance(value, kind):
            raise ProbeError(f"{self.where}: {name} must be a {kind.__name__}")
        return value


def read_file(path: Path) -> list[Record]:
    """The records of a file, by line in JSONL, without the header in CSV, numbered from 1.

    Raises:
        ProbeError: the file cannot be read or a record is malformed; the message names its row.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ProbeError(f"cannot read {path}: use a file that ends with {', '.join(_SUFFIXES)}")
    if path.suffix.lower() == ".parquet":
        return _numbered(path.name, _parquet(path))
    try:
        # utf-8-sig: spreadsheets write a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProbeError(f"cannot read {path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise ProbeError(f"cannot read {path}: it is not UTF-8 text") from error
    parse = _csv if path.suffix.lower() == ".csv" else _jsonl
    records = list(parse(path.name, text))
    if not records:
        raise ProbeError(f"{path} has no rows")
    return records


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


def _jsonl(where: str, text: str) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProbeError(f"{where} row {number} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ProbeError(f"{where} row {number} must be a JSON object: {{...}}")
        if SURROGATES.search(json.dumps(record, ensure_ascii=False)):
            raise ProbeError(f"{where} row {number} holds half a character: write it anew")
        yield Record(f"{where} row {number}", record)


def _csv(where: str, text: str) -> Iterator[Record]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for number, record in enumerate(reader, start=1):
            if None in record:
                raise ProbeError(f"{where} row {number} has more columns than the header")
            filled = {
                key.strip(): value for key, value in record.items() if value not in (None, "")
            }
            yield Record(f"{where} row {number}", filled)
    except csv.Error as error:
        raise ProbeError(f"{where} row {number + 1} is not CSV: {error}") from error


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ProbeError(missing_extra(f"reading {path.name}")) from error
    try:
        records: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except Exception as error:
        raise ProbeError(f"cannot read {path}: {' '.join(str(error).split())[:200]}") from error
    return records
