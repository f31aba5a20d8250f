"""CSV as spreadsheets and scripts write it."""

import pytest

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.files.csv_rows import csv_rows

ROW = {"prompt": "a, b; c", "answer": "1"}


@pytest.mark.parametrize(
    "text",
    [
        'prompt,answer\n"a, b; c",1\n',
        'prompt;answer\n"a, b; c";1\n',
        "prompt\tanswer\na, b; c\t1\n",
        "prompt|answer\na, b; c|1\n",
        'sep=;\nprompt;answer\n"a, b; c";1\n',
        "sep=\t\nprompt\tanswer\na, b; c\t1",
        '"prompt","answer"\r\n"a, b; c","1"\r\n\r\n',
        '\nprompt,answer\r"a, b; c",1\r',
        ',prompt,answer\n0,"a, b; c",1\n',
    ],
    ids=range(9),
)
def test_separators_and_line_ends_are_found(text: str) -> None:
    assert list(csv_rows("f", text)) == [(1, ROW)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt,answer\n1,2\n1,2,3\n", "f row 2 has more columns than the header: 3 of 2"),
        ("prompt,answer\n1,2\n1\n", "f row 2 has fewer columns than the header: 1 of 2"),
        ("prompt;answer\n1;2;3\n", "f row 1 has more columns"),
        ("answer,prompt, answer\n1,2,3\n", "f: the header has the column answer twice"),
        ("prompt,answer\n1,2\nprompt,answer\n", "f row 2 is the header again: take it out"),
        ('prompt,answer\n"1"x,2\n', "f row 1 is not CSV"),
        ('prompt,answer\n1,2\n"open,3\n', "f row 2 is not CSV"),
        ('"prompt,answer\n1,2\n', "f row 1 is not CSV"),
        ("prompt,\udce9\n1,2\n", "f: the header: it is not UTF-8 text"),
    ],
    ids=range(9),
)
def test_what_would_be_read_otherwise_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProbeError) as caught:
        list(csv_rows("f", text))
    assert str(caught.value).startswith(message)


def test_a_cell_keeps_its_line_breaks_and_spaces() -> None:
    (_, row), (number, _) = csv_rows("f", 'prompt,answer\r\n" a\r\nb\n",1\r\n\r\nc,2\r\n')
    assert row == {"prompt": " a\r\nb\n", "answer": "1"}
    assert number == 2
