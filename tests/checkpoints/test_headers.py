"""Headers: what the safetensors library writes is read, and nothing hostile gets through."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mi_tui.checkpoints.errors import HeaderError
from mi_tui.checkpoints.headers import BITS, MAX_TENSORS, parse_header, read_header

FILE = Path("model.safetensors")


def test_reads_what_the_library_writes(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
        "b": torch.tensor(3.5),
        "c": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4, dtype=torch.int64),
    }
    file = tmp_path / "model.safetensors"
    save_file(tensors, file)
    header = read_header(file)
    assert header.keys() == tensors.keys()
    content = file.read_bytes()
    for name, tensor in tensors.items():
        info = header[name]
        assert info.shape == tuple(tensor.shape)
        assert info.count == tensor.numel()
        raw = tensor.reshape(-1).view(torch.uint8)
        assert content[info.start : info.end] == bytes(raw.tolist())


def encode(entries: Any) -> bytes:
    return json.dumps(entries).encode()


def entry(start: int = 0, end: int = 4, **changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [start, end]} | changes


HOSTILE = {
    "overlap": {"a": entry(0, 4), "b": entry(2, 6)},
    "the same bytes twice": {"a": entry(0, 4), "b": entry(0, 4)},
    "gap": {"a": entry(0, 4), "b": entry(8, 12)},
    "beyond the file": {"a": entry(0, 400, shape=[100])},
    "backwards": {"a": entry(4, 0)},
    "negative offset": {"a": entry(-4, 0)},
    "negative dimension": {"a": entry(shape=[-1])},
    "two negative dimensions": {"a": entry(shape=[-1, -1])},
    "size does not fit": {"a": entry(shape=[2])},
    "overflowing shape": {"a": entry(shape=[2**62, 2**62])},
    "dimension is a boolean": {"a": entry(shape=[True])},
    "dimension is a float": {"a": entry(shape=[1.0])},
    "unknown dtype": {"a": entry(dtype="F33")},
    "dtype is no text": {"a": entry(dtype=[])},
    "extra key": {"a": entry(code="import os")},
    "missing key": {"a": {"dtype": "F32", "shape": [1]}},
    "three offsets": {"a": entry(data_offsets=[0, 2, 4])},
    "not an object": [1, 2],
    "entry is a list": {"a": [1]},
    "empty name": {"": entry()},
    "name with an escape": {"a\x1b[2J": entry()},
    "name with a line break": {"a\nb": entry()},
    "metadata is no table": {"__metadata__": 3, "a": entry()},
    "metadata is nested": {"__metadata__": {"a": {}}, "b": entry()},
}


@pytest.mark.parametrize("case", HOSTILE, ids=str)
def test_refuses_hostile_headers(case: str) -> None:
    text = encode(HOSTILE[case])
    with pytest.raises(HeaderError, match=r"model\.safetensors"):
        parse_header(text, FILE, 8 + len(text) + 4)


def test_refuses_a_name_given_twice() -> None:
    one = json.dumps(entry())
    text = f'{{"a": {one}, "a": {one}}}'.encode()
    with pytest.raises(HeaderError, match="twice"):
        parse_header(text, FILE, 8 + len(text) + 4)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"NaN", b'{"a":' * 100_000])
def test_refuses_what_is_no_json_object(text: bytes) -> None:
    with pytest.raises(HeaderError):
        parse_header(text, FILE, 8 + len(text))


@pytest.mark.parametrize("length", [2**63, 100_000_001, 5_000])
def test_refuses_absurd_lengths_without_reading_them(tmp_path: Path, length: int) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(HeaderError):
        read_header(file)


@pytest.mark.parametrize("cut", [0, 4, 7, 8, 20, -1])
def test_says_when_a_file_is_cut_short(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(10)}, file)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(HeaderError, match=r"short|download it again"):
        read_header(file)


def test_says_when_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(HeaderError, match="cannot read"):
        read_header(tmp_path / "none.safetensors")


@given(st.binary(max_size=300))
def test_random_bytes_never_crash(data: bytes) -> None:
    try:
        parse_header(data, FILE, 8 + len(data))
    except HeaderError:
        return
    assert isinstance(json.loads(data), dict)


_SIZES = st.integers(-2, 9)
_ENTRIES = st.dictionaries(
    st.text(max_size=3),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from([*BITS, "X"]),
            "shape": st.lists(_SIZES, max_size=3),
            "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2),
        }
    ),
    max_size=3,
)


@given(_ENTRIES, st.integers(0, 40))
def test_what_passes_describes_the_file_exactly(entries: dict[str, Any], data: int) -> None:
    text = encode(entries)
    try:
        header = parse_header(text, FILE, 8 + len(text) + data)
    except HeaderError:
        return
    covered = sorted((tensor.start, tensor.end) for tensor in header.values())
    position = 8 + len(text)
    for start, end in covered:
        assert start == position
        position = end
    assert position == 8 + len(text) + data


@given(data=st.data())
def test_is_as_strict_as_the_library(data: st.DataObject, tmp_path_factory: Any) -> None:
    """Flip bytes of a valid file: whatever the library refuses to load is refused here too."""
    folder = tmp_path_factory.mktemp("flipped")
    file = folder / "model.safetensors"
    save_file({"a": torch.arange(3.0), "b": torch.ones(2, 2, dtype=torch.float16)}, file)
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        header = read_header(file)
    except HeaderError:
        return
    try:
        loaded = load_file(file)
    except SafetensorError as error:
        pytest.fail(f"the library refuses what we read: {error}")
    except KeyError:
        return  # A dtype the library knows and torch does not.
    assert loaded.keys() == header.keys()


def test_a_header_of_a_million_tensors_is_refused_before_they_are_looked_at() -> None:
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps(dict.fromkeys(map(str, range(MAX_TENSORS + 1)), entry)).encode()
    with pytest.raises(HeaderError, match=r"names 262,145 tensors, more than any model has"):
        parse_header(text, Path("model.safetensors"), 8 + len(text))
