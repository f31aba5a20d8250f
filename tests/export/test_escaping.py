"""Escapes: what was written is read back, in one line, and is nothing but text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.export.escaping import comment, csv_text, slug, yaml_text
from tests.export.hostile import texts

yaml: Any = pytest.importorskip("yaml")


@given(texts)
def test_a_yaml_string_is_the_text_and_one_line(text: str) -> None:
    assert yaml.safe_load(yaml_text(text)) == text
    assert len(yaml_text(text).splitlines()) == 1


@given(texts | st.text(st.characters(codec=None)))
def test_a_comment_is_one_line_of_what_is_seen(text: str) -> None:
    assert len(f"# {comment(text)}".splitlines()) == 1
    assert not set(comment(text)) & set("\n\r\x00\x1b\x85\u2028\u2029\u202e")


@given(texts)
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert not csv_text(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert len(csv_text(text).splitlines()) <= 1


def test_what_is_harmless_stays_as_it_is() -> None:
    assert csv_text("MI-0.5 · layers 12–35") == "MI-0.5 · layers 12–35"
    assert comment("MI-0.5 · w/o FFN") == "MI-0.5 · w/o FFN"
    assert yaml_text("Qwen/Qwen3-4B") == '"Qwen/Qwen3-4B"'


@given(texts)
def test_a_slug_is_a_name_for_any_shell_and_server(text: str) -> None:
    assert 1 <= len(slug(text)) <= 80
    assert all(c.isascii() and (c.isalnum() or c in ".-") for c in slug(text))
    assert not slug(text).startswith(("-", "."))


def test_slugs_read_well() -> None:
    assert slug("Demo pair · MI-0.6") == "Demo-pair-MI-0.6"
    assert slug("λ") == "model"
