"""Hostile text made harmless, and boxes found."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.probes.text import last_boxed, safe_text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\ok", "ok"),
        ("\x1bcreset", "reset"),
        ("a\rb\r\nc\u2028d", "a\nb\nc\nd"),
        ("bell\x07 null\x00 delete\x7f", "bell null delete"),
        ("\u202eevil\u202c", "evil"),
        ("lone \ud800", "lone \ufffd"),
        ("z\u0300\u0301\u0302\u0303\u0304\u0305a", "z\u0300\u0301\u0302\u0303a"),
        ("a\tb", "a    b"),
        ("[bold]kept[/bold] <b>", "[bold]kept[/bold] <b>"),
        ("漢字 عربي हिन्दी 🙂", "漢字 عربي हिन्दी 🙂"),
    ],
)
def test_what_a_terminal_would_obey_is_removed(hostile: str, shown: str) -> None:
    assert safe_text(hostile) == shown


@given(st.text(max_size=200))
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    safe = safe_text(text)
    assert all(character == "\n" or ord(character) >= 32 for character in safe)
    assert not any(0x7F <= ord(character) <= 0x9F for character in safe)
    safe.encode()
    assert safe_text(safe) == safe


@given(st.text(max_size=300), st.integers(0, 40))
def test_the_limit_holds(text: str, limit: int) -> None:
    assert len(safe_text(text, limit)) <= limit


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("\\boxed{3}", "3"),
        ("\\boxed{1} then \\boxed{2}", "2"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\boxed{7}}", "7"),
        ("\\boxed{4} and \\boxed{5", "4"),
        ("\\boxed {6}", "6"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\fbox{8}", "8"),
        ("no box {9}", None),
        ("", None),
    ],
)
def test_the_last_closed_box_is_found(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


@pytest.mark.parametrize("piece", ["\\boxed{", "{", "}", "\\boxed{\\boxed{1}", "\x1b]0;", "\x1b["])
def test_long_hostile_text_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        start = time.process_time()
        last_boxed(text)
        safe_text(text)
        return time.process_time() - start

    # Quadratic work would take hundreds of times as long on the larger text, not ten.
    assert seconds(1_000_000) < 60 * seconds(100_000) + 1.0
