"""Parquet: rows by number, with the faults that its writers leave in."""

from pathlib import Path
from typing import Any

import pytest

from mi_tui.probes.data_files import read_file
from mi_tui.probes.errors import ProbeError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def invalid(*values: bytes) -> Any:
    """A column of text whose bytes nobody has checked."""
    return pa.array(values, pa.binary()).view(pa.string())


def test_rows_are_read_and_numbered(tmp_path: Path) -> None:
    path = tmp_path / "split=test" / "mine.parquet"
    path.parent.mkdir()
    columns = {"prompt": ["a", "b"], "answer": [1, None], "as_bytes": [b"x", "é".encode()]}
    parquet.write_table(pa.table(columns), path)
    first, second = read_file(path)
    assert first.where == "mine.parquet row 1"
    assert first.values == {"prompt": "a", "answer": 1, "as_bytes": "x"}
    assert second.values["as_bytes"] == "é"
    with pytest.raises(ProbeError, match="row 2: answer is missing"):
        second.text("answer")


@pytest.mark.parametrize("kind", ["string", "binary"])
def test_bytes_that_are_not_utf8_are_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    values = (b"good", b"caf\xe9")
    column = invalid(*values) if kind == "string" else pa.array(values)
    parquet.write_table(pa.table({"prompt": column}), path)
    with pytest.raises(ProbeError) as caught:
        read_file(path)
    assert str(caught.value).startswith(
        "mine.parquet row 2: it is not UTF-8 text in column prompt (byte 0xE9)"
    )


def test_half_a_character_nul_and_twins_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    for column, told in (
        (pa.array(["a", "b\0"]), "row 2 holds a NUL byte in column prompt"),
        (invalid(b"a", b"\xed\xa0\xbd"), "row 2: it is not UTF-8 text in column prompt"),
    ):
        parquet.write_table(pa.table({"prompt": column}), path)
        with pytest.raises(ProbeError, match=told):
            read_file(path)
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["prompt", "prompt"])
    parquet.write_table(twice, path)
    with pytest.raises(ProbeError, match=r"mine\.parquet has the column prompt twice"):
        read_file(path)


def test_no_number_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({"answer": [1.0, float("nan"), float("inf")]}), path)
    first, *others = read_file(path)
    assert first.text("answer") == "1.0"
    for other in others:
        with pytest.raises(ProbeError, match="answer must be text or a number"):
            other.text("answer")


def test_a_file_that_is_none_or_has_no_rows_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(ProbeError, match="cannot read"):
        read_file(path)
    parquet.write_table(pa.table({"prompt": pa.array([], pa.string())}), path)
    with pytest.raises(ProbeError, match="has no rows"):
        read_file(path)
