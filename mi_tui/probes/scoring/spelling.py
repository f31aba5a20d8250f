r"""One spelling for what Unicode, Markdown and LaTeX write in many ways.

Every pattern is bounded, so that no text takes more than linear time.
"""

import re
import unicodedata

from mi_tui.text.plain_text import INVISIBLE

MAX_ANSWER = 500
"""The most characters of a box or an answer line that are read as an answer."""

_SPACES = (0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)
_MINUS = (0x2010, 0x2011, 0x2012, 0x2013, 0x2212, 0xFE58, 0xFE63)
_SINGLE, _DOUBLE = (0x2018, 0x2019, 0x201A, 0x201B), (0x201C, 0x201D, 0x201E, 0x201F)
_SAME: dict[int, str] = {
    **{0xFF01 + i: chr(0x21 + i) for i in range(94)},
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(_MINUS, "-"),
    **dict.fromkeys(_SINGLE, "'"),
    **dict.fromkeys(_DOUBLE, '"'),
    # Letters in circles and squares, white and black.
    **{
        first + i: chr(0x41 + i) for first in (0x24B6, 0x1F130, 0x1F150, 0x1F170) for i in range(26)
    },
    # Bold, italic and other mathematical letters and digits, and ligatures such as ﬁ.
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x1D400, 0x1D800)},
    **{code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)},
}


def normalised(text: str) -> str:
    """Text in Unicode's composed form (NFC), with one sign for what looks the same.

    Full-width signs, minus signs and short dashes, quotation marks, spaces, and mathematical bold
    or italic letters become those of ASCII; invisible characters go.
    """
    if text.isascii():
        return text
    return INVISIBLE.sub("", unicodedata.normalize("NFC", text)).translate(_SAME)


_UNICODE_GROUP = re.compile("(?<=\\d)[\u00a0\u2007\u2009\u202f](?=\\d{3}(?!\\d))")
_LATEX_GROUP = re.compile(
    r"(?<=\d)(?:\\[,;:! ]|(?:\\!)?,\\!\s?|\s?\{\\?,\}\s?|\\text\{,\}|~|')(?=\d{3}(?!\d))"
)


def without_separators(text: str) -> str:
    r"""A text without what separates groups of three digits in LaTeX or print, the comma aside.

    ``1{,}234``, ``1\,234`` and ``1 234`` with a thin or a no-break space become ``1234``; a plain
    space inside a number stays.
    """
    return _LATEX_GROUP.sub("", normalised(_UNICODE_GROUP.sub("", text)))


_IMAGINARY = re.compile(r"\\(?:mathrm|text|textrm|operatorname)\s?\{\s?([ie])\s?\}")
_WRAPPER = re.compile(
    r"\\(?:text|text(?:rm|bf|it|tt|sf|normal)|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|bm|bold"
    r"|boldsymbol|operatorname|underline|emph)\*?\s?\{([^{}]{0,200})\}"
)
_SETTING = re.compile(
    r"\\(?:[bx]?cancel|sout)\s?\{[^{}]{0,40}\}"
    r"|\\(?:text)?color(?:box)?\s?\{[^{}]{0,40}\}|\\(?:h?phantom|[hvm]space)\*?\s?\{[^{}]{0,40}\}"
    r"|\\(?:begin|end)\{(?:align(?:ed)?|gather(?:ed)?|split)\*?\}"
    r"|\\(?:bf|rm|it|tt|sf|tiny|small|normalsize|large|Large|LARGE|huge|Huge|displaystyle|textstyle"
    r"|left|right|[bB]igg?[lrm]?|(?:math)?strut|limits|nolimits|checkmark)(?![A-Za-z])"
)
# A doubled backslash is a new row of a matrix, and no spacing whatever stands behind it.
_SPACING = re.compile(r"(\\\\)|\\(?:[,;:!> ]|(?:quad|qquad|enspace|thinspace)(?![A-Za-z]))|~")
_LAST_ROW = re.compile(r"[\\\s]+$")
_END_OF_PROOF = re.compile(r"\s?\\(?:blacksquare|square|Box|qed(?:symbol)?)$")
_QUANTITY = re.compile(
    r"\\(?:SI|qty|num)\s?(?:\[[^][]{0,40}\])?\s?\{([^{}]{1,60})\}(?:\s?\{[^{}]{1,80}\})?"
)
_SINGLE_CELL = re.compile(r"\\begin\{array\}\s?\{[lcr]\}([^&]{1,300}?)\\end\{array\}")
_OUTER = (
    ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("{", "}"),
    ("**", "**"), ("```", "```"), ("__", "__"), ("*", "*"), ("`", "`"), ('"', '"'), ("'", "'"),
)  # fmt: skip


def bare(text: str) -> str:
    r"""An answer without what stands around it.

    Removes math delimiters, outer braces, bold signs, quotes, ``\text{…}``, type sizes, colours,
    what is crossed out, signs at the end of a proof and LaTeX's spacing; of a quantity of siunitx
    its number stays; separators between groups of three digits go, any other space inside a
    number stays.
    """
    text = _IMAGINARY.sub(r"\1", without_separators(text[:MAX_ANSWER]))
    text = _QUANTITY.sub(r" \1 ", text)
    cell = _SINGLE_CELL.fullmatch(text.strip())
    text = cell[1] if cell and "\\\\" not in cell[1].strip(" \\") else text
    for _ in range(4):
        text, wrapped = _WRAPPER.subn(r" \1 ", text)
        if not wrapped:
            break
    text = _SPACING.sub(lambda match: match[1] or " ", _SETTING.sub(" ", text))
    return unwrapped(_LAST_ROW.sub("", _END_OF_PROOF.sub("", text.strip())))


def unwrapped(text: str) -> str:
    """A text without the signs that stand around all of it: quotes, bold, math delimiters."""
    text = text.strip()
    for _ in range(6):
        before = text
        for opening, closing in _OUTER:
            inner = text[len(opening) : -len(closing)]
            if not (text.startswith(opening) and text.endswith(closing) and inner.strip()):
                continue
            pairs = opening in inner or closing in inner
            if not pairs or (opening == "{" and _is_balanced(inner)):
                text = inner.strip()
        if text == before:
            return text
    return text


_STRUCK = re.compile(r"~~(?=\S)[^~\n]{1,200}~~")


def without_struck(text: str) -> str:
    """A text without what Markdown crosses out: ``~~41~~ 42`` gives ``42``."""
    return _STRUCK.sub("", text)


def without_point(text: str) -> str:
    """A text without the point that ends a sentence; the points of an ellipsis stay."""
    return re.sub(r"(?<=[^.\s])[.。]$", "", text.strip())


def _is_balanced(inner: str) -> bool:
    depth = 0
    for sign in re.findall(r"\\.|[{}]", inner):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0
