"""JSON and JSON lines: what is read as it is written, and what is refused by its row."""

import pytest

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.files.json_rows import json_rows, jsonl_rows, parse_json

ROWS = [(1, {"prompt": "a", "answer": 1}), (2, {"prompt": "b", "answer": 2})]


@pytest.mark.parametrize(
    "text",
    [
        '[{"prompt": "a", "answer": 1}, {"prompt": "b", "answer": 2}]',
        ' [\r\n {"prompt": "a",\r\n "answer": 1},{"prompt": "b", "answer": 2}\r\n]\r\n',
        '{"prompt": "a", "answer": 1}\n{"prompt": "b", "answer": 2}\n',
    ],
    ids=range(3),
)
def test_a_list_or_lines_are_read(text: str) -> None:
    assert list(json_rows("f", text)) == ROWS


def test_lines_may_end_as_on_any_system() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = end.join(['{"prompt": "a", "answer": 1}', '{"prompt": "b", "answer": 2}', ""])
        assert list(jsonl_rows("f", text)) == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}, {"a": 1', "f row 2 is not JSON"),
        ('[{"a": 1}, {"a": 1}', "f row 2: a comma or ] is missing"),
        ('[{"a": 1},', "f row 2 is not JSON: the list is not closed"),
        ("[", "f row 1 is not JSON: the list is not closed"),
        ('[{"a": 1} {"a": 1}]', "f row 1: a comma or ] is missing"),
        ('[{"a": 1}] [{"a": 2}]', "f goes on behind its list, after row 1"),
        ('[{"a": 1}, [2]]', "f row 2 must be a JSON object"),
        ('"text"', "f must be a list of JSON objects"),
        ('{\n"a": 1\n}', "f must be a list of JSON objects"),
        ("[" * 100_000, "f row 1 is not JSON"),
    ],
    ids=range(10),
)
def test_a_list_that_is_none_is_refused_by_its_row(text: str, message: str) -> None:
    with pytest.raises(ProbeError) as caught:
        list(json_rows("f", text))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1" * 5000, "an integer of 5,000 digits: write it as text"),
        ("-" + "9" * 100_000, "an integer of 100,001 digits"),
        ("1e400", "1e400 is too large for a number"),
        ("NaN", "NaN is not JSON: write null"),
        ("-Infinity", "-Infinity is not JSON"),
        ('1, "answer": 2', "the key 'answer' stands twice"),
        ('{"x": 1, "x": 2}', "the key 'x' stands twice"),
        ("1} {", "f row 1 is not JSON: something stands behind it"),
    ],
    ids=range(8),
)
def test_a_value_that_would_change_is_refused(value: str, message: str) -> None:
    with pytest.raises(ProbeError) as caught:
        list(jsonl_rows("f", f'{{"answer": {value}}}\n'))
    assert str(caught.value).startswith("f row 1")
    assert message in str(caught.value)


def test_long_integers_are_read_digit_by_digit() -> None:
    digits = "7" * 4000
    assert str(parse_json(digits, "f")) == digits
