"""Extraction of the final answer from a response: an integer or a choice letter.

What a prompt asks for comes first (the last ``\boxed{…}``, the last ``ANSWER: X``), then what a
careful reader would take. Every pattern is bounded, so that no text takes more than linear time.
"""

import re
import unicodedata
from collections.abc import Sequence

from mi_tui.probes.text import last_boxed

MAX_DIGITS = 100
"""Longer digit strings are no answer; Python itself refuses to convert very long ones."""

MAX_ANSWER = 500
"""The most characters of a box or an answer line that are read as an answer."""

_FULL_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)}
_PLAIN = _FULL_WIDTH | {0x3000: 0x20, 0x00A0: 0x20, 0x202F: 0x20, 0x2212: 0x2D, 0xFE63: 0x2D}


def normalised(text: str) -> str:
    """Text in Unicode's composed form (NFC), with full-width signs and minus signs as in ASCII."""
    return unicodedata.normalize("NFC", text).translate(_PLAIN)


# Signs that separate groups of three digits in LaTeX.
_LATEX_GROUP = re.compile(r"(?<=\d)(?:\\[,;:! ]|\{,\}|,\\!|~)(?=\d{3}(?!\d))")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_INTEGER = re.compile(r"[+-]? ?\d+(?:\.0*)?")
_WRAPPER = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|textit|mbox|bm|boldsymbol)\s?\{([^{}]{0,200})\}"
)
_OUTER = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("{", "}"), ("**", "**"))
_SPACING = re.compile(r"\\(?:[,;:! ]|quad|qquad|left|right|displaystyle)|~")
_DEGREES = re.compile(r"\s?(?:\^\s?(?:\\circ|\{\s?\\circ\s?\})|°|\\degree)")
_PERCENT = re.compile(r"\s?\\?%$")
_UNIT = re.compile(r"([\d.,]+)\s+[A-Za-zµΩ²³/^{}\-]{1,24}(?:\s[A-Za-z²³/^]{1,16}){0,3}\.?")
_MULTIPLES = re.compile(
    r"\b(?:hundreds?|thousands?|(?:m|b|tr)illions?|dozens?|million|pairs?|or|and|to|mod)\b", re.I
)


def bare(text: str) -> str:
    r"""An answer without what stands around it.

    Removes math delimiters, outer braces, bold signs, ``\text{…}`` and LaTeX's spacing; thousands
    separators between groups of three digits go, any other space inside a number stays.
    """
    text = _WRAPPER.sub(r" \1 ", normalised(text[:MAX_ANSWER]))
    text = _SPACING.sub(" ", _LATEX_GROUP.sub("", text)).strip()
    for _ in range(4):
        for opening, closing in _OUTER:
            inner = text[len(opening) : -len(closing)]
            is_outer = text.startswith(opening) and text.endswith(closing) and inner
            if is_outer and opening not in inner and closing not in inner:
                text = inner.strip()
    return text


def without_degrees(text: str) -> str:
    """A text without degree signs, which an angle may carry or leave out."""
    return _DEGREES.sub("", text)


def as_integer(text: str) -> int | None:
    r"""The integer that a short text spells and nothing else, or ``None``.

    Knows signs, leading zeros, thousands separators, ``\text{…}``, ``$`` and a final point. White
    space inside a number makes it none.
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    text = _THOUSANDS.sub("", bare(text))
    if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
        return None
    return int(text.partition(".")[0].replace(" ", ""))


def answered_integer(text: str) -> int | None:
    r"""The integer that an answer gives: as :func:`as_integer`, and with what it is called.

    Also reads ``x = 42``, a unit behind the number (``42 m``, ``42^\circ``) and a final percent
    sign. ``42 million`` and ``1 or 2`` are no integers.
    """
    if (number := as_integer(text)) is not None:
        return number
    if len(text) > MAX_ANSWER:
        return None
    text = bare(without_degrees(text))
    name, equals, value = text.rpartition("=")
    if equals and not re.search(r"[,;=]|\b(?:and|or)\b", name):
        text = value
    text = _PERCENT.sub("", text.strip())
    unit = _UNIT.fullmatch(text)
    if unit and not _MULTIPLES.search(text):
        text = unit[1]
    return as_integer(text)


def boxed_integer(response: str) -> int | None:
    r"""The integer in the last ``\boxed{…}`` that holds something."""
    content = last_boxed(response)
    return None if content is None else answered_integer(content)


# Bounded repetitions keep the search linear on any text.
_LAST_INTEGER = re.compile(
    r"(?<![\w.,])-?\d{1,3}(?:,\d{3}){1,8}(?![\w,])|(?<![\w.])-?\d+(?!\.?\w)(?!,\d)"
)


_NOTE = re.compile(r"(?<=[\w$}])\s{1,3}\([^()]{0,300}\)\.?$")
"""A remark in parentheses behind an answer."""


def final_integer(response: str) -> int | None:
    """The integer of the last box or, where no box holds one, the last integer written."""
    if (boxed := boxed_integer(response)) is not None:
        return boxed
    stated = stated_answer(response) or ""
    for answer in (stated, _NOTE.sub("", stated)):
        if (number := answered_integer(answer)) is not None:
            return number
    last: str | None = None
    for match in _LAST_INTEGER.finditer(_LATEX_GROUP.sub("", normalised(response))):
        last = match[0]
    return None if last is None else as_integer(last)


_STATED = re.compile(
    r"(?:^|(?<=[\n.!?>*_#:]))[ \t*_#>]{0,8}(?:so[ \t,]{1,3}|thus[ \t,]{1,3}|therefore[ \t,]{1,3})?"
    r"(?:the[ \t]{1,3})?(?:final|correct|my)?[ \t]{0,3}answer[ \t]{0,3}\*{0,3}[ \t]{0,3}"
    r"(?::|is:?)(?!\w)[ \t]{0,3}([^\n]{0,500})",
    re.IGNORECASE,
)


def stated_answer(response: str) -> str | None:
    """What follows the last ``Final answer: …`` or ``The answer is …``, to the end of its line.

    Bold signs and a final point are removed. ``None`` where nothing is stated so.
    """
    last = None
    for match in _STATED.finditer(normalised(response)):
        last = match[1]
    if last is None:
        return None
    stated = last.replace("**", "").strip(" \t*_`")
    return re.sub(r"(?<=[^.])\.$", "", stated) or None


_OPENING = (
    r"[\s*_`'\"“‘$({\[]{0,6}(?:\\[(\[]\s?)?"
    r"(?:\\(?:boxed|text|mathrm|mathbf|textbf)\s?\{){0,3}"
)
_CLOSING = r"[)\]}*_`'\"”’$\\]{0,8}"


def final_choice(response: str, letters: Sequence[str]) -> str | None:
    r"""The letter of a multiple-choice answer.

    The last ``ANSWER: X`` counts (simple-evals, and the paper's prompt for GPQA), whatever its
    case, and with the letter bare, quoted, in parentheses, in bold, between math signs or boxed;
    then the last ``\boxed{X}``, with or without the choice's text behind the letter; then "the
    answer is X"; then a response that is nothing but a letter.
    """
    text, one = normalised(response), "".join(letters)
    for find in (_labelled_choice, _boxed_choice, _stated_choice):
        if (letter := find(text, one)) is not None:
            return letter
    return _only_letter(text, one)


def _labelled_choice(text: str, one: str) -> str | None:
    """The last ``ANSWER: X`` whose letter stands alone, else the last with words behind it."""
    small = rf"[{one.lower()}](?=[)\]}}.*_$\\ ]{{0,6}}(?:\n|\Z))"
    label = rf"(?i:answer)\W{{0,4}}?:{_OPENING}[*_$({{\[]{{0,4}}"
    pattern = rf"{label}(?P<letter>[{one}](?!\w)|{small})(?P<rest>{_CLOSING}[^\n]{{0,80}})"
    alone = words = None
    for match in re.finditer(pattern, text):
        if _stands_alone(match["rest"]):
            alone = match["letter"]
        elif not _is_article(match["letter"], match["rest"]):
            words = match["letter"]
    chosen = alone or words
    return chosen and chosen.upper()


def _stands_alone(rest: str) -> bool:
    """Whether a letter is followed by nothing, or by what parts it from the words after it."""
    behind = re.sub(rf"^{_CLOSING}", "", rest).strip()
    return rest[:1] in tuple(")]}.,:;") or not behind or behind[0] in "(.,:;-–—|/"


def _is_article(letter: str, rest: str) -> bool:
    """Whether ``A`` begins a sentence: "A cell cannot divide here"."""
    return letter == "A" and re.match(r" (?!because|is\b|since|as\b|for\b)[a-z]", rest) is not None


def _boxed_choice(text: str, one: str) -> str | None:
    content = last_boxed(text)
    if content is None:
        return None
    if (letter := _only_letter(content, one)) is not None:
        return letter
    match = re.match(rf"[\s(*]{{0,4}}([{one}])\s?[).:\]](?:\s|$)", bare(content))
    return match[1] if match else _labelled_choice(f"{content}\n", one)


def _stated_choice(text: str, one: str) -> str | None:
    stated = stated_answer(text)
    if stated is None:
        return None
    match = re.match(rf"(?:option |choice )?{_OPENING}([{one}])(?!\w)(.{{0,80}})", stated)
    return match[1] if match and _stands_alone(match[2]) else None


def _only_letter(text: str | None, letters: str) -> str | None:
    if text is None or len(text) > 200:
        return None
    stripped = re.sub(r"[\s*_$(){}\[\].:`'\"\\]", "", bare(text))
    return stripped.upper() if len(stripped) == 1 and stripped.upper() in letters else None
