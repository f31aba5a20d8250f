"""Texts of strangers: control characters made harmless, and the content of boxes."""

import re

from mi_tui.text.plain_text import ESCAPE_SEQUENCES, LINE_BREAKS, without_controls

# Marks above and below letters; no script stacks more than a few, and a pile of them paints over
# the lines around it.
_PILED_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)


def safe_text(text: str, limit: int | None = None) -> str:
    """Text that a terminal shows and never obeys.

    Escape sequences, control characters and invisible format characters are removed, every kind
    of line break becomes a newline, a tab becomes four spaces, piles of combining marks are cut to
    four, and lone surrogates become U+FFFD.
    Markup is kept as it is: show the result as plain text.

    Args:
        text: anything, for instance what a model wrote.
        limit: the most characters to give back; an ellipsis stands for the rest.
    """
    if limit is not None and len(text) > 4 * limit:
        text = text[: 4 * limit] + "…"
    text = LINE_BREAKS.sub("\n", ESCAPE_SEQUENCES.sub("", text)).replace("\t", "    ")
    text = without_controls(text)
    text = _PILED_MARKS.sub(r"\1", text)
    if limit is not None and len(text) > limit:
        return text[: max(limit - 1, 0)] + "…"[:limit]
    return text


def shown_line(text: object, limit: int | None = None) -> str:
    """As :func:`safe_text`, in one line: for words of others inside our own."""
    return " ".join(safe_text(str(text), limit).split())


# A box in JSON, or behind a LaTeX line break, has more than one backslash.
_BOX_TOKENS = re.compile(r"\\{1,4}(?:boxed|fbox|framebox)\s*\{|\\.|[{}]", re.DOTALL)
_BOX_WITHOUT_BRACES = re.compile(r"\\boxed[ \t]{0,4}([^\s{$][^\n$]{0,200})")


def last_boxed(text: str) -> str | None:
    r"""The content of the last ``\boxed{…}`` whose braces close and that holds something.

    Of nested boxes the inner counts. ``\boxed 42``, without braces, holds what stands up to the
    end of the line or of the formula. One pass over the text, however many boxes are left open.
    """
    open_braces: list[tuple[int, bool]] = []
    found: tuple[int, int] | None = None
    for match in _BOX_TOKENS.finditer(text):
        token = match[0]
        if token == "{" or (token.endswith("{") and len(token) > 2):
            open_braces.append((match.end(), token != "{"))
        elif token == "}" and open_braces:
            start, is_box = open_braces.pop()
            holds = text[start : match.start()].strip()
            if is_box and holds and (found is None or start > found[0]):
                found = (start, match.start())
    for match in _BOX_WITHOUT_BRACES.finditer(text):
        if found is None or match.start() > found[1]:
            found = match.span(1)
    return text[found[0] : found[1]].strip() if found else None
