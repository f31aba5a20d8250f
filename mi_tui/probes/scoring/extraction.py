r"""The integer that a response answers with, and what it states as its answer.

What a prompt asks for comes first, the last ``\boxed{…}``, then what a careful reader would take.
Every pattern is bounded, so that no text takes more than linear time.
"""

import re

from mi_tui.probes.scoring.spelling import (
    MAX_ANSWER,
    bare,
    without_point,
    without_separators,
    without_struck,
)
from mi_tui.probes.scoring.units import NO_UNIT, without_text_unit, without_unit
from mi_tui.probes.text import last_boxed

MAX_DIGITS = 100
"""Longer digit strings are no answer; Python itself refuses to convert very long ones."""

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_GROUPED = re.compile(r"[+-]? ?\d{1,3}(?:,\d{3})+(?:\.0*)?")
_INTEGER = re.compile(r"[+-]? ?\d+(?:\.0*)?")
_SIGN_IN_BRACES = re.compile(r"^\{\s?([+-])\s?\}|^([+-])\s?(?=\{)")
_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^][]*)\]|\\\{([^{}]*)\\\}")
_MODULUS = re.compile(r"\s?(?:\\pmod\s?(?:\{[^{}]{1,20}\}|\d)|\(\s?\\?b?mod\s[^()]{1,20}\))$")
_APPROXIMATELY = re.compile(r"^(?:\\approx|≈|\\simeq|\\equiv|≡)\s?")
_ALTERNATIVES = re.compile(r"[,;=<>]|\\(?:[gl]eq?|neq?)(?![a-z])|\b(?:and|or)\b")


def as_integer(text: str) -> int | None:
    r"""The integer that a short text spells and nothing else, or ``None``.

    Knows signs, leading zeros, thousands separators, ``\text{…}``, ``$`` and a final point. White
    space inside a number makes it none.
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    text = bare(text)
    signed = _SIGN_IN_BRACES.match(text)
    if signed:
        text = (signed[1] or signed[2]) + bare(text[signed.end() :])
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
        return None
    return int(text.partition(".")[0].replace(" ", ""))


def answered_integer(text: str) -> int | None:
    r"""The integer that an answer gives: as :func:`as_integer`, and with what it is called.

    Also reads ``x = 42``, ``Answer: 42``, a unit behind the number (``42 m``, ``42^\circ``), a
    currency sign, a final percent sign, a modulus (``42 \pmod{100}``) and single brackets around
    it. ``42 million`` and ``1 or 2`` are no integers.
    """
    if len(text) > MAX_ANSWER:
        return None
    if (number := as_integer(text)) is not None:
        return number
    text = without_label(bare(without_text_unit(text.strip())))
    text = _APPROXIMATELY.sub("", _value_behind_name(_MODULUS.sub("", text)))
    text = re.sub(r"(?<=\d)[,;]$", "", without_unit(text))
    brackets = _BRACKETS.fullmatch(text)
    inner = next(filter(None, brackets.groups()), "") if brackets else text
    return None if brackets and "," in inner else as_integer(inner)


def _value_behind_name(text: str) -> str:
    """What stands behind ``x =``; all of the text where that would be an equation to solve."""
    for sign in ("=", "\\equiv", "≡", "\\approx", "≈"):
        name, found, value = text.rpartition(sign)
        plain = re.sub(r"\([^()]*\)", "", name)
        if found and name.strip() and not _ALTERNATIVES.search(plain) and not is_sum(name):
            return value.strip()
    return text


def is_sum(name: str) -> bool:
    """Whether letters and numbers are added, as in ``41 + x``: no name of a value, but a term."""
    plain = re.sub(r"\\[A-Za-z]+|[_^](?:\w|\{[^{}]*\})|[({][^(){}]*[)}]", "", name)
    has_both = re.search(r"\d", plain) and re.search(r"[A-Za-z]", plain)
    return bool(has_both) and re.search(r"[+-]", plain) is not None


def boxed_integer(response: str) -> int | None:
    r"""The integer in the last ``\boxed{…}`` that holds something."""
    content = last_boxed(normalised_boxes(response))
    return None if content is None else answered_integer(content)


def normalised_boxes(response: str) -> str:
    """A response in one spelling, its numbers with thin spaces joined, for boxes to be found."""
    return response if response.isascii() else without_separators(response)


TAIL = 2000
"""Without a box, a mathematical answer is looked for in so many last characters."""


def mathematical_answer(response: str) -> str | None:
    """The content of the last box; without one, what is stated near the end, its comment left out.

    ``None`` where there is neither.
    """
    content = last_boxed(normalised_boxes(response))
    if content is not None:
        return content
    stated = stated_answer(response[-TAIL:])
    return None if stated is None else first_clause(stated)


# In Chinese, Japanese and Korean no space parts a number from the words beside it.
_BESIDE_SCRIPT = re.compile(
    r"(?<=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])(?<!第)(?=-?\d)"
    r"|(?<=\d)(?=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])(?![十百千万萬億亿兆십백천만억조])"
)
_CORRECTION = re.compile(
    r"\b(?:wait|hmm|hold on)\b[^\n]{0,40}?\b(?:no|wrong|mistake|error|incorrect)\b"
    r"|\b(?:no|oops|sorry|correction|scratch that)\b\s?[,;:!—–-]|\bactually\b",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"\b(?:yes|confirmed|checks out|verified|is (?:right|correct))\b", re.IGNORECASE
)
# Bounded repetitions keep the search linear on any text.
_NOT_MEANT = r"(?<!\bnot )(?<!instead of )(?<!rather than )"
_LAST_INTEGER = re.compile(
    rf"{_NOT_MEANT}(?<![\w.,/])-?\d{{1,3}}(?:,\d{{3}}){{1,8}}(?:\.0{{1,9}})?(?![\w,]|/\d|\.\d)"
    rf"|{_NOT_MEANT}(?<![\w./^])(?<!\^\{{)-?\d+(?:\.0{{1,9}})?(?!\.?\w)(?!,\d|/\d|\^)"
)


def final_integer(response: str) -> int | None:
    """The integer of the last box or, where no box holds one, the last integer written."""
    if (boxed := boxed_integer(response)) is not None:
        return boxed
    text = without_struck(without_separators(response))
    statement = _last_statement(text)
    if statement is not None:
        correction = _CORRECTION.search(text, statement.start(1))
        behind = text[correction.end() :] if correction else ""
        if not _CONFIRMED.search(behind) and (corrected := _last_written(behind)) is not None:
            return corrected
        stated = _stated(statement)
        if stated is not None and (number := answered_integer(first_clause(stated))) is not None:
            return number
    return _last_written(text)


def _last_written(text: str) -> int | None:
    """The last integer of a text, with its words around it."""
    last: str | None = None
    for match in _LAST_INTEGER.finditer(_BESIDE_SCRIPT.sub(" ", text)):
        last = match[0]
    return None if last is None else as_integer(last)


_LABEL = re.compile(
    r"^(?:the\s)?(?:(?:final|correct|my)\s)?answer(?:\s{0,3}(?:is\s?:?|:|=)|\s)\s*"
    r"|^(?:[A-Za-z][A-Za-z']*\s){0,8}[A-Za-z']+(?:\s(?:is|are|equals):?|\s?:)\s+(?=[\d\\($.{-])"
    r"|^\((?-i:[A-E])\)\s+(?=[\d\\$-])",
    re.IGNORECASE,
)


def without_label(text: str) -> str:
    """An answer without the words before it: ``Answer: 42``, ``The sum is 42``."""
    return without_point(_LABEL.sub("", text, count=1))


_FILLER = r"(?:(?:therefore|thus|hence|then|so|simply|just|exactly|equal[ \t]to),?[ \t]{1,3})?"
_CONNECTIVE = (
    r"(?:so|thus|hence|therefore|then|finally|i[ \t]think|we[ \t]conclude[ \t]that|and)[ \t,]{1,3}"
)
_STATED = re.compile(
    r"(?:^|(?<=[\n.!?>*_#:;,|✅{-]))[ \t*_#>\"'|{-]{0,8}(?:\d[.)][ \t]{1,3})?"
    rf"(?:{_CONNECTIVE}){{0,2}}(?:the[ \t]{{1,3}})?"
    r"(?:(?:final|correct|required|desired|my|our)[ \t]{1,3}){0,2}"
    r"answer[ \t\"'*_]{0,6}(?::|=|[-—→|](?=[ \t])"
    r"|(?:is|(?:will|must|would|should|turns[ \t]out[ \t]to)[ \t]be)(?!\w):?)"
    rf"[ \t]{{0,3}}{_FILLER}([^\n]{{0,500}})",
    re.IGNORECASE,
)
_HEADED = re.compile(
    r"^[ \t*_#>-]{0,8}(?:the[ \t])?(?:(?:final|correct|my)[ \t])?answer(?:[ \t]is)?[ \t*_:]{0,6}\n"
    r"\s{0,8}(?:\\\[|\$\$)?\s{0,4}([^\n]{1,500})",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED = re.compile(r"<answer>\s{0,8}([^\n<]{1,500}?)\s{0,8}</answer>", re.IGNORECASE)
MAX_MENTIONS = 60
"""So many last mentions of the word "answer" are looked at."""

_TRIMMED = " \t*_`|✅✓"


def stated_answer(response: str) -> str | None:
    """What follows the last ``Final answer: …`` or ``The answer is …``, to the end of its line.

    A heading ``Final Answer`` states the line below it, ``<answer>…</answer>`` what stands
    between. Bold signs and a final point are removed. ``None`` where nothing is stated so.
    """
    stated = _last_statement(without_struck(without_separators(response)))
    return None if stated is None else _stated(stated)


def _stated(stated: re.Match[str]) -> str | None:
    """What a statement says, without the signs around it."""
    inner = stated[1].replace("**", "").strip(_TRIMMED)
    if within := _STATED.fullmatch(inner):
        inner = within[1]
    if re.search(r"answer[\"']", stated[0], re.IGNORECASE):
        inner = inner.strip("\"'}], ")
    return without_point(inner).strip(_TRIMMED) or None


def _last_statement(text: str) -> re.Match[str] | None:
    """The last statement of an answer among the last :data:`MAX_MENTIONS` of the word."""
    mentions = [found.start() for found in re.finditer("answer", text, re.IGNORECASE)]
    for at in reversed(mentions[-MAX_MENTIONS:]):
        found = [
            match
            for pattern in (_STATED, _HEADED, _TAGGED)
            for match in pattern.finditer(text, max(at - 60, 0), at + 560)
            if match[1].strip(_TRIMMED)
        ]
        if found:
            return max(found, key=lambda match: match.start())
    return None


_MATH = re.compile(r"(?:\$\$?|\\[(\[])(.{1,400}?)(?:\$\$?|\\[)\]])(.*)")
_MORE = re.compile(r"\s?(?:,?\s?(?:or|and|to)\b|[,;]\s?(?:\$|\\\()|[-+*/^=<>])")
_COMMENT = re.compile(
    r"\s(?:because|since|as|which|where|so|when|by|from|after|of)\b"
    r"|,\s(?:which|because|since|as|so|not|and\snot|where|with|i\.e\.)(?!\w)"
    r"|;\s|\.\s(?=[A-Z])|\s\((?=[A-Za-z=≈])"
)


def first_clause(stated: str) -> str:
    """A stated answer without the comment behind it: ``42, which is even`` gives ``42``."""
    math = _MATH.fullmatch(stated)
    if math and not _MORE.match(math[2]) and not NO_UNIT.match(math[2].strip()):
        return math[1]
    return _COMMENT.split(stated, maxsplit=1)[0]
