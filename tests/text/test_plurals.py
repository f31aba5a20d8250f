"""Nouns beside numbers."""

import pytest

from mi_tui.text.plurals import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1200, "1,200 files")]
)
def test_one_is_singular(number: int, words: str) -> None:
    assert counted(number, "file") == words
