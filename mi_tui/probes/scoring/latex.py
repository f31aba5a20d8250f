r"""Answers in the LaTeX that math-verify reads.

The patterns are for answers of at most :data:`spelling.MAX_ANSWER` characters.
"""

import re
import unicodedata

from mi_tui.probes.scoring.extraction import without_label
from mi_tui.probes.scoring.spelling import bare
from mi_tui.probes.scoring.units import without_degrees, without_text_unit, without_unit

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_ROOT = re.compile(r"√\s?(?:\(([^()]{1,60})\)|(\d+(?:\.\d+)?|[a-z]))")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s?\{(\d{1,20})\}")
_PLAIN = (
    (re.compile(r"(?<=\d)(?:e|E|\\cdot\s?E)([+-]?\d{1,3})(?!\d)"), r" \\times 10^{\1}"),
    (re.compile(r"(?<![\w}])(\d{1,9})\s(\d{1,9})/(\d{1,9})(?![\w.])"), r"\1\\frac{\2}{\3}"),
    (re.compile(r"(?<=\d)\{,\}(?=\d)"), "."),
    (re.compile(r"\\(?:nicefrac|sfrac|cfrac)(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\langle(?![A-Za-z])"), "("),
    (re.compile(r"\\rangle(?![A-Za-z])"), ")"),
    (re.compile(r"\\([lr])brace(?![A-Za-z])"), lambda found: "\\{" if found[1] == "l" else "\\}"),
    (re.compile(r"\\colon(?![A-Za-z])"), ":"),
    (re.compile(r"∞"), r"\\infty "),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\{?\s?(\d{1,9})\s?\\choose\s?(\d{1,9})\s?\}?"), r"\\binom{\1}{\2}"),
    (re.compile(r"⁄"), "/"),
    (re.compile(r"(?<=[\d)}])\s?\bpercent$"), r"\\%"),
    (re.compile(r"(?<=\\\\)\s?\[\d{1,3}(?:pt|em|ex|mm)\]"), ""),
)  # fmt: skip


def as_latex(answer: str) -> str:
    """An answer with one spelling for what models write in many, units and labels left out.

    Args:
        answer: the content of a box, or a problem's answer.
    """
    text = without_label(bare(without_text_unit(without_degrees(answer).strip())))
    text = re.sub(r"^(?:[A-Za-z]\s?)?(?:\\approx|≈)\s?", "", text)
    text = _VULGAR.sub(_fraction, text)
    text = _RAISED.sub(lambda found: f"^{{{found[0].translate(_SUPERSCRIPTS)}}}", text)
    text = _ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2]}}}", text)
    text = _REPEATING.sub(_repeated, text)
    for pattern, spelling in _PLAIN:
        text = pattern.sub(spelling, text)
    return text if text.endswith("%") else without_unit(text)


def _fraction(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return rf"\frac{{{top}}}{{{bottom}}}"


def _repeated(found: re.Match[str]) -> str:
    """A repeating decimal as a fraction."""
    whole, fixed, period = found[1] or "0", found[2], found[3]
    nines = int("9" * len(period) + "0" * len(fixed))
    return rf"\frac{{{int(whole + fixed + period) - int(whole + fixed)}}}{{{nines}}}"


_EXPONENT = re.compile(r"(?:\^|\*\*)\s?[{(]?\s?[-+]?\s?(?:10\s?\^|\d+)")
_UNBOUNDED = re.compile(
    r"(?:\^|\*\*)\s?[{(]?\s?[-+]?\s?\w{1,12}\s?(?:\^|\*\*|!)|!\s?[)}]{0,2}\s?(?:!|\^|\*\*)"
    r"|\\(?:sum|prod|int|lim)(?![A-Za-z])|[+][^()]{0,80}\)\s?\^\s?\{?\s?\d{3}"
)
_FACTORIAL = re.compile(r"(\d+)\s?[)}]?\s?!|\\binom\s?\{?\s?(\d+)")
MAX_POWER = 50_000
"""The product of an answer's exponents, and the most of a factorial, that is worked out."""


MAX_DEPTH = 20
"""The deepest brackets that are worked out."""


def _depth(text: str) -> int:
    """How deep brackets stand in one another."""
    depth = deepest = 0
    for sign in re.findall(r"[(){}\[\]]", text):
        depth = depth + 1 if sign in "({[" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def grows_beyond_bounds(text: str) -> bool:
    """Whether working an answer out may take for ever: towers of powers, huge factorials, sums."""
    if _UNBOUNDED.search(text) or _depth(text) > MAX_DEPTH:
        return True
    product = 1
    for found in _EXPONENT.finditer(text):
        digits = re.search(r"\d+$", found[0])
        product *= max(int(digits[0][:9]) if digits else MAX_POWER, 1)
    tops = (int((found[1] or found[2])[:9]) for found in _FACTORIAL.finditer(text))
    return product > MAX_POWER or any(top > MAX_POWER // 10 for top in tops)
