"""Files as others write them: each is read right, or refused with its row in one line."""

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mi_tui.probes.data_files import read_file
from mi_tui.probes.errors import ProbeError

GOOD = {"prompt": "How much is 2+2?", "answer": "4"}


def as_jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, indent=1)


def as_csv(rows: list[dict[str, Any]], separator: str = ",") -> str:
    lines = [separator.join(rows[0])]
    for row in rows:
        lines.append(separator.join('"' + str(v).replace('"', '""') + '"' for v in row.values()))
    return "\r\n".join(lines) + "\r\n"


WRITERS: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    ".jsonl": as_jsonl,
    ".json": as_json,
    ".csv": as_csv,
    ".tsv": lambda rows: as_csv(rows, "\t"),
}
EVERY = pytest.mark.parametrize("suffix", WRITERS)


def told(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ProbeError) as caught:
        read_file(path)
    line = str(caught.value)
    assert "\n" not in line
    line.encode()  # it can be printed
    return line


@EVERY
def test_bytes_that_are_not_utf8_are_named_by_row_and_column(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    rows = [GOOD, GOOD, {**GOOD, "prompt": "A café?"}, GOOD]
    path.write_bytes(WRITERS[suffix](rows).encode("latin-1"))
    line = told(path)
    assert line.startswith(f"mine{suffix} row 3: it is not UTF-8 text")
    assert "byte 0xE9; as Windows-1252 it reads" in line
    assert "café" in line
    assert "save the file as UTF-8" in line


@EVERY
@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32")],
)
def test_another_encoding_is_named(suffix: str, encoding: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(WRITERS[suffix]([GOOD, GOOD]).encode(encoding))
    assert told(path) == f"mine{suffix} row 1: the file is {name} text: save it as UTF-8"


@EVERY
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"mine{suffix}"
    text = WRITERS[suffix]([GOOD, {**GOOD, "prompt": "a\u2028b"}])
    for content in (text, text.replace("\r\n", "\n").replace("\n", "\r\n")):
        path.write_text("\ufeff" + content, encoding="utf-8", newline="")
        first, second = read_file(path)
        assert (first.where, first.values) == (f"mine{suffix} row 1", GOOD)
        assert second.values["prompt"] == "a\u2028b"


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_nul_byte_is_named_in_csv(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_text(WRITERS[suffix]([GOOD, {**GOOD, "answer": "4\0"}]), newline="")
    assert told(path) == f"mine{suffix} row 2 holds a NUL byte in column answer: take it out"


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@pytest.mark.parametrize(
    ("prompt", "words"),
    [("a\\u0000", "holds a NUL byte in column prompt"), ("\\ud83d", "holds half a character in")],
)
def test_what_json_escapes_is_named_too(
    suffix: str, prompt: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / f"mine{suffix}"
    bad = {**GOOD, "prompt": "HERE"}
    path.write_text(WRITERS[suffix]([GOOD, bad]).replace("HERE", prompt))
    assert told(path).startswith(f"mine{suffix} row 2 {words}")


def test_half_a_character_deep_inside_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "\\udc00"}], "answer": 1}\n')
    assert told(path).startswith("mine.jsonl row 1 holds half a character in column messages")
    path = tmp_path / "mine.csv"
    path.write_text('messages,answer\n"[""\\ud83d""]",1\n')
    with pytest.raises(ProbeError, match="row 1: messages holds half a character"):
        read_file(path)[0].parsed("messages", list)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_a_field_may_have_any_length(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    long = 'word "quoted", ' * 100_000
    path.write_text(WRITERS[suffix]([{**GOOD, "prompt": long}]), newline="")
    assert read_file(path)[0].values["prompt"] == long


@EVERY
def test_a_packed_file_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}.gz"
    path.write_bytes(gzip.compress(WRITERS[suffix]([GOOD]).encode()))
    assert read_file(path)[0].values == GOOD
    path.write_bytes(path.read_bytes()[:-9])
    assert "it cannot be unpacked" in told(path)
    path.write_bytes(b"not packed")
    assert "it cannot be unpacked: Not a gzipped file" in told(path)
    plain = tmp_path / f"mine{suffix}"
    plain.write_bytes(gzip.compress(b"x"))
    assert f"it is packed: name it mine{suffix}.gz" in told(plain)


def test_a_packed_file_that_grows_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mi_tui.probes.files.text.MOST_BYTES", 1 << 20)
    path = tmp_path / "mine.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (1 << 22)))
    assert path.stat().st_size < 1 << 20
    assert "of text: take a part" in told(path)
    (tmp_path / "mine.csv").write_bytes(b" " * (1 << 21))
    assert "of text: take a part" in told(tmp_path / "mine.csv")


@pytest.mark.parametrize("suffix", [*WRITERS, ".parquet", ""])
def test_what_is_no_file_is_said_to_be_none(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    assert "it is a directory: name a file in it" in told(tmp_path / f"folder{suffix}")
    if suffix:
        assert "no such file" in told(tmp_path / f"gone{suffix}")
        os.mkfifo(tmp_path / f"pipe{suffix}")
        assert "it is not a file" in told(tmp_path / f"pipe{suffix}")


@EVERY
def test_an_empty_file_has_no_rows(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    for content in ("", "\ufeff", "\n\n", "[]" if suffix == ".json" else "\r\n"):
        path.write_text(content, encoding="utf-8", newline="")
        assert told(path) == f"{path} has no rows"


def test_a_hostile_name_stays_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[2J.csv"
    path.write_text("prompt,answer\nx\n")
    assert told(path).startswith("a b.csv row 1 has fewer columns")


def test_the_limit_of_the_csv_module_is_lifted() -> None:
    assert csv.field_size_limit() > 1 << 30
