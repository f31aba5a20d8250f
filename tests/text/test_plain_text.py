"""Plain text: what is taken for words alone."""

import pytest

from mi_tui.text.plain_text import fault


@pytest.mark.parametrize(
    "text", ["Qwen3 4B", "λ ≤ ½ · 日本語", "می‌خواهم", "👩‍💻", "a\u3000b", "a\u00a0b", ""]
)
def test_words_of_any_script_are_plain(text: str) -> None:
    assert fault(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "a\rb",
        "a\tb",
        "a\x0bb",
        "\x1b[31m",
        "a\u202eb",
        "a\u2066b",
        "a\x00",
        "\ud800",
        "\x9b1m",
    ],
)
def test_all_else_is_not_a_line(text: str) -> None:
    assert fault(text)


def test_lines_and_tabs_where_they_are_allowed() -> None:
    assert fault("a\n\tb", lines=True) is None
    assert fault("a\rb", lines=True)
    assert fault("a\u2029b", lines=True)
