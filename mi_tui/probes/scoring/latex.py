r"""Answers in the LaTeX that math-verify reads.

The patterns are for answers of at most :data:`spelling.MAX_ANSWER` characters.
"""

import re
import unicodedata
from fractions import Fraction

from mi_tui.probes.scoring.extraction import without_label
from mi_tui.probes.scoring.spelling import bare
from mi_tui.probes.scoring.units import without_degrees, without_text_unit, without_unit

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_ROOT = re.compile(r"√\s?(?:\(([^()]{1,60})\)|(\d+(?:\.\d+)?|[a-z]))")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s?\{(\d{1,20})\}")
_OUTWARD = re.compile(r"([][])([^][()]{1,100},[^][()]{1,100})([][])")
"""An interval, in French as ``]2, 5[``."""

_OR = re.compile(
    r"\s?(?:\\(?:lor|vee)(?![A-Za-z])"
    r"|\\(?:text|textrm|mathrm|mbox)\s?\{(?:\s+o\s+|\s*(?:oder|ou|или|または|或者?|또는)\s*)\})\s?"
)
_AND = re.compile(
    r"\s?\\(?:text|textrm|mathrm|mbox)\s?\{(?:\s+[yи]\s+|\s*(?:und|et|と|和|와|과|및)\s*)\}\s?"
)
_CONDITION = re.compile(
    r"(?P<main>[^<>≤≥]{1,300}?)(?:\s?,\s*|\s+(?:for|where|with)\s+(?:(?:all|every|any|each)\s+)?)"
    r"(?:(?:integers?|real)\s+)?(?P<name>[A-Za-z])\s?"
    r"(?:\\(?:[gl]eq?|[gl]eqslant|in|neq?)(?![A-Za-z])|[<>≤≥∈])[^,;]{1,60}"
)
_NAME = re.compile(r"[A-Za-z]\s?(?:_\s?\{?\s?[\w+-]{1,8}\s?\}?|\([^()]{1,20}\))?\s*")
_PLAIN = (
    (re.compile(r"\\log\s?_\s?\{?\s?e\s?\}?(?![A-Za-z])"), r"\\ln "),
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
    text = _AND.sub(r" \\text{ and } ", _OR.sub(r" \\text{ or } ", answer))
    text = without_label(bare(without_text_unit(without_degrees(text).strip())))
    text = _OUTWARD.sub(_interval, without_condition(text))
    text = re.sub(r"^(?:[A-Za-z]\s?)?(?:\\approx|≈)\s?", "", text)
    text = _VULGAR.sub(_fraction, text)
    text = _RAISED.sub(lambda found: f"^{{{found[0].translate(_SUPERSCRIPTS)}}}", text)
    text = _ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2]}}}", text)
    text = _REPEATING.sub(_repeated, text)
    for pattern, spelling in _PLAIN:
        text = pattern.sub(spelling, text)
    return text if text.endswith("%") else without_unit(text)


def without_condition(text: str) -> str:
    """A formula without the values that its letter may take: ``n(n+1)/2, n >= 1``."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        return text
    main, name = found["main"].rstrip(" ,"), found["name"]
    is_in_it = re.search(rf"(?<![A-Za-z\\]){name}(?![A-Za-z])", main) is not None
    left, equals, _ = main.partition("=")
    # In x^2 = 4, x < 0 it is part of the answer.
    is_named = not equals or (_NAME.fullmatch(left) is not None and left[0] != name)
    return main if is_in_it and is_named else text


def _interval(found: re.Match[str]) -> str:
    opening, closing = "(" if found[1] == "]" else "[", ")" if found[3] == "[" else "]"
    return f"{opening}{found[2]}{closing}"


def _fraction(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("⁄")
    return rf"\frac{{{top}}}{{{bottom}}}"


def _repeated(found: re.Match[str]) -> str:
    """A repeating decimal as a fraction."""
    whole, fixed, period = found[1] or "0", found[2], found[3]
    nines = int("9" * len(period) + "0" * len(fixed))
    return rf"\frac{{{int(whole + fixed + period) - int(whole + fixed)}}}{{{nines}}}"


_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s?(?:(?P<decimal>\d{1,50}(?:\.\d{1,50})?|\.\d{1,50})"
    r"|(?P<top>-?\d{1,50})\s?/\s?(?P<bottom>\d{1,50})"
    r"|\\[dt]?frac\s?(?:\{\s?(?P<upper>-?\d{1,50})\s?\}\s?\{\s?(?P<lower>\d{1,50})\s?\}"
    r"|(?P<short>\d\d)))"
)
_FAR_APART = Fraction(1, 10_000)


def _as_number(text: str) -> Fraction | None:
    """The number that a text spells as an integer, a decimal or a fraction of integers."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    sign = -1 if found["sign"] == "-" else 1
    if found["decimal"]:
        return sign * Fraction(found["decimal"])
    short = found["short"] or ""
    top = found["top"] or found["upper"] or short[:1]
    bottom = int(found["bottom"] or found["lower"] or short[1:])
    return sign * Fraction(int(top), bottom) if bottom else None


def equal_numbers(answer: str, wanted: str) -> bool | None:
    """Whether two plain numbers are equal; ``None`` where that is left to math-verify.

    It decides of what is no integer, decimal or fraction, and of decimals that are rounded.
    """
    one, other = _as_number(answer), _as_number(wanted)
    if one is None or other is None:
        return None
    if one != other and "." in answer + wanted and abs(one - other) < _FAR_APART:
        return None
    return one == other


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
