"""Find the final answer in a response: an integer or a choice letter."""

import re
from collections.abc import Sequence

from mi_tui.probes.text import last_boxed

MAX_DIGITS = 100
"""Longer digit strings are no answer; Python itself refuses to convert very long ones."""

_SPACING = re.compile(r"\\[,;:! ]|\{,\}|[\s$~]")
_WRAPPER = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\{([^{}]*)\}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_INTEGER = re.compile(r"[+-]?\d+(?:\.0*)?")
# Bounded repetitions keep the search linear on any text.
_LAST_INTEGER = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3}){1,8}(?![\w,])|(?<![\w.])-?\d+(?!\.?\w)")


def as_integer(text: str) -> int | None:
    r"""The integer that a short answer spells, or ``None``.

    Knows signs, leading zeros, thousands separators, ``\text{…}``, ``$`` and a final point.
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    text = _SPACING.sub("", _WRAPPER.sub(r"\1", text.replace("−", "-")))
    text = _THOUSANDS.sub("", text)
    if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
        return None
    return int(text.partition(".")[0])


def boxed_integer(response: str) -> int | None:
    r"""The integer in the last closed ``\boxed{…}``."""
    content = last_boxed(response)
    return None if content is None else as_integer(content)


def final_integer(response: str) -> int | None:
    """The integer of the last box or, where no box holds one, the last integer written."""
    if (boxed := boxed_integer(response)) is not None:
        return boxed
    last: str | None = None
    for match in _LAST_INTEGER.finditer(response.replace("−", "-")):
        last = match[0]
    return None if last is None else as_integer(last)


def final_choice(response: str, letters: Sequence[str]) -> str | None:
    r"""The letter of a multiple-choice answer.

    The last ``ANSWER: X`` counts (simple-evals, and the paper's prompt for GPQA), whatever its
    case and with the letter bare, in parentheses, in bold or boxed; else the last
    ``\boxed{X}``; else a response that is nothing but a letter.
    """
    one = "".join(letters)
    wrapped = r"[\s*_$({\[]{0,6}(?:\\(?:boxed|text|mathrm|mathbf|textbf)\{){0,2}[*_$({\[]{0,4}"
    # A small letter is an answer only where its line ends: "Answer: a dog" is none.
    small = rf"[{one.lower()}](?=[)\]}}.*_$ ]{{0,6}}(?:\n|\Z))"
    pattern = rf"(?i:answer)\W{{0,4}}?:{wrapped}(?P<letter>[{one}](?!\w)|{small})"
    last = None
    for match in re.finditer(pattern, response):
        last = match["letter"]
    if last is not None:
        return last.upper()
    for candidate in (last_boxed(response), response):
        letter = _only_letter(candidate, one)
        if letter is not None:
            return letter
    return None


def _only_letter(text: str | None, letters: str) -> str | None:
    if text is None or len(text) > 200:
        return None
    bare = re.sub(r"[\s*_$(){}\[\].:]", "", _WRAPPER.sub(r"\1", text))
    return bare.upper() if len(bare) == 1 and bare.upper() in letters else None
