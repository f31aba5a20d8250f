r"""The letter of a multiple-choice answer.

Every pattern is bounded, so that no text takes more than linear time.
"""

import re
from collections.abc import Sequence

from mi_tui.probes.scoring.spelling import bare, normalised, without_struck
from mi_tui.probes.text import last_boxed

_REACH = 200
"""So many characters behind a label are read."""

MAX_LABELS = 60
"""So many last labels are looked at."""

_COLON = re.compile(
    r"(?:answer|(?:correct|right|best|final|selected)\s(?:option|choice))[\s*_\"'`)\]}>]{0,6}:{1,2}",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"answer(?:[*_\"' \t]{0,4}(?:=|→|=>|\||[-—](?=[ \t]))|[>\]]|[ \t](?=[ \t(*]{0,3}\w\W{0,4}$))",
    re.IGNORECASE | re.MULTILINE,
)
_STATED = re.compile(
    r"\b(?:answer|(?:correct|right|best|final)[ \t](?:option|choice))[ \t*_]{0,4}"
    r"(?:is|(?:should|must|would|will|has[ \t]to)[ \t]be)(?!\w)"
    r"(?:[ \t](?:therefore|thus|clearly|then|definitely|obviously|indeed|probably|likely))?:?",
    re.IGNORECASE,
)
_HEADED = re.compile(
    r"^[ \t*_#>-]{0,8}(?:the[ \t])?(?:(?:final|correct|my)[ \t])?answer[ \t*_]{0,6}$",
    re.IGNORECASE | re.MULTILINE,
)
_DECORATION = re.compile(
    r"(?:<(?:b|i|u|em|strong)>(?=[^\n<]{1,80}</)|[\s*_`'\"$(){}\[\]<>【「『«|#~]"
    r"|[\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\U0001f300-\U0001faff]|-[ \t]|\\[(\[,;: ]"
    r"|\\(?:boxed|fbox|text(?:bf|rm)?|math(?:rm|bf))\s?(?=\{)|\\bf(?![a-z])"
    r"|(?:the[ \t])?(?:(?:correct|final|right|best)[ \t])?(?:option|choice|answer|letter)"
    r"(?:[ \t]is)?:?(?=[\s(*$\\]))",
    re.IGNORECASE,
)
_CLOSERS = " \t)]}>*_`'\"$】」』»\\|"
_SEPARATORS = ".。,:;()-—|/、"
_NO_LETTER = re.compile(r"[_']?[^\W_]|[-.]\d|-[a-z]{2}|\s?[\^_+?]\s?(?:[^\W_]|\{)|\s?\?")
_REFUSED = re.compile(r"[\s,]{0,3}is\s(?:not|wrong|incorrect|false|ruled)\b")
_GOES_ON = re.compile(r" (?!(?:because|is|since|as|for|if|in|due)\b)[a-z]")
_HOPE = r"(?:maybe\s|perhaps\s|possibly\s|both\s|also\s)?"
_SECOND = re.compile(
    rf"[\s)*]{{0,4}}(?:[\s,(]{{0,3}}\b(?:or|and)\s{_HOPE}|[/|&+]\s?|-(?=[A-Z]\b))[(*$\"'\\{{]{{0,3}}"
    r"(?P<either>[A-Z])(?![\w'])(?! [a-z]{2,}\s[a-z])"
    r"|[\s)*]{0,4}(?:,|;(?=\W{0,4}\w\W{0,4}$))\s{0,2}[(*$\"'\\{]{0,3}(?P<listed>[A-Za-z])[)*$\"'}\]]{0,4}"
    r"(?=\W{0,4}$|\s{0,2}[,/&]\s?\w\b(?! are)|\s(?:or|and)\b)"
)


def final_choice(response: str, letters: Sequence[str]) -> str | None:
    r"""The letter of a multiple-choice answer, or ``None``.

    The last ``ANSWER: X`` counts (simple-evals, and the paper's prompt for GPQA), whatever its
    case, and with the letter bare, quoted, in brackets, in bold, between math signs or boxed; then
    the last ``\boxed{X}``, with or without the choice's text behind the letter; then "the answer
    is X"; then a response that is nothing but a letter, or one line that begins with ``X)``. Two
    letters (``B or C``) are no answer.
    """
    text, one = without_struck(normalised(response)), "".join(letters)
    labelled = _behind(_COLON, text, one) or _behind(_WEAK, text, one, alone_only=True)
    if labelled:
        return labelled
    content = last_boxed(text)
    if content is not None and (boxed := _boxed_choice(content, one)) is not None:
        return boxed
    return _behind(_STATED, text, one) or _behind(_HEADED, text, one) or _whole(text, one)


def _behind(label: re.Pattern[str], text: str, one: str, alone_only: bool = False) -> str | None:
    """The letter behind the last label; one that stands alone comes before one in a sentence."""
    in_words = None
    for match in reversed([*label.finditer(text)][-MAX_LABELS:]):
        behind = text[match.end() : match.end() + _REACH]
        found, stands_alone = _letter_of(behind, one)
        if found is None and not alone_only:
            found = _letter_at_the_end(behind.strip().partition("\n")[0], one)
        if found and stands_alone:
            return found
        in_words = in_words or found
    return None if alone_only else in_words


def _letter_of(text: str, one: str) -> tuple[str | None, bool]:
    """The letter that a text begins with, and whether no sentence goes on behind it."""
    at = 0
    while (decoration := _DECORATION.match(text, at)) is not None:
        at = decoration.end()
    letter, behind = text[at : at + 1], text[at + 1 :].partition("\n")[0]
    if not letter or letter.upper() not in one or _NO_LETTER.match(behind):
        return None, False
    rest = re.sub(r"^</\w{1,6}>", "", behind).lstrip(_CLOSERS)
    closed = not rest or behind.lstrip()[:1] in tuple(")]}>.:")
    if letter in "aAiI" and _GOES_ON.match(behind) and not closed:
        return None, False
    if letter in "ai" and not closed and not re.match(r"[ ,]{1,2}(?:because|since|as)\b", behind):
        return None, False
    second = _SECOND.match(behind)
    is_second = second and (second["either"] or second["listed"]).upper() in one
    if is_second or _REFUSED.match(rest) or _REFUSED.match(behind):
        return None, False
    return letter.upper(), closed or rest[0] in _SEPARATORS or not rest[0].isalnum()


_AT_THE_END = re.compile(r"(?:\(|\b(?:option|choice)\s\(?)([A-Z])\)?[\s.*_`]{0,6}$", re.IGNORECASE)
_OPEN = re.compile(
    r"\b(?:not|neither|nor|or|and|none|maybe|unsure|cannot)\b|n't\b|\?", re.IGNORECASE
)


def _letter_at_the_end(line: str, one: str) -> str | None:
    """The letter of ``42 m (B)`` or ``42 m, which is option B``, where the line names one alone."""
    found = _AT_THE_END.search(line)
    if found is None or _OPEN.search(line) or found[1].upper() not in one:
        return None
    others = re.findall(r"\(([A-Z])\)", line[: found.start()])
    return None if others else found[1].upper()


def _boxed_choice(content: str, one: str) -> str | None:
    inner = bare(content)
    label = _COLON.search(inner)
    found, stands_alone = _letter_of(inner[label.end() :] if label else inner, one)
    has_number = re.match(r"\W{0,12}\w\)?\s{1,8}[\d\\$-]", inner) is not None
    return found if stands_alone or (has_number and not re.search("[A-Za-z]{3}", inner)) else None


_CHOSEN = re.compile(
    r"(?:\b(?:option|choice)\s{1,2}|^[\s*_]{0,4})[(*]{0,3}(?P<letter>[A-Za-z])[)*]{0,3}\sis\s"
    r"(?:the\s)?(?:correct|right|best)\b(?!\?| only)",
    re.IGNORECASE | re.MULTILINE,
)
_LINE = re.compile(
    r"[\s*_(`'\"$\\{\[<a-z]{0,12}\w[)}*_`'\"$.:\]>]|(?:option|choice)\W{1,3}\w\W{0,3}$|\w$",
    re.IGNORECASE,
)


def _whole(text: str, one: str) -> str | None:
    """The letter of a response that is nothing else, or one line that begins with ``X)``."""
    chosen = [match["letter"].upper() for match in _CHOSEN.finditer(text)]
    if chosen and chosen[-1] in one:
        return chosen[-1]
    line = text.strip()
    if len(line) > _REACH or "\n" in line or not _LINE.match(line):
        return None
    found, stands_alone = _letter_of(line, one)
    return found if stands_alone else None
