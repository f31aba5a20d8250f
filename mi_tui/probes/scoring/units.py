r"""Units, currencies, degrees and remarks around a number, which an answer may carry or leave out.

The patterns are for answers of at most :data:`spelling.MAX_ANSWER` characters.
"""

import re

_DEGREES = re.compile(
    r"\s?(?:(?:\{\})?\^\s?(?:\\circ|\{\s?(?:\\,)?\s?\\circ\s?\})|[°º]|\\(?:text)?degrees?(?![a-z])"
    r"|\^\s?(?:o(?![a-z])|\{\s?\\text\{o\}\s?\}))"
    r"(?:\s?(?:[CF]|\\(?:text|mathrm)\{\s?[CF]\s?\})(?![A-Za-z]))?|\s?[℃℉]"
)

_OTHERWISE = (
    "一二三四五六七八九十百千万萬億亿兆半或和与與及又至到不非未以約约上下余餘십백천만억조와과"
)
"""Signs of Chinese, Japanese and Korean that change a number, or part two."""

NO_UNIT = re.compile(
    r"\b(?:hundreds?|thousands?|(?:m|b|tr)illions?|dozens?|pairs?|or|and|to|mod|plus|minus|times"
    r"|over|if|when|where|unless|not|less|more|than|least|most|half|squared|cubed|st|nd|rd|th|wrong|false|incorrect|(?-i:k)"
    r"|sin|cos|tan|log|exp|sqrt|alpha|beta|gamma|delta|epsilon|theta|lambda|sigma|phi"
    r"|(?-i:omega)|oder|und|et|ou|y|o|или|и|не|тыс|млн|млрд|тысяч|миллион(?:а|ов)?|tausend"
    r"|million(?:en|es)?|millones|mille|mil)\b"
    rf"|[{_OTHERWISE}]",
    re.IGNORECASE,
)
"""Words behind a number that change it."""

_SHORT = (
    "m|s|g|h|l|L|V|A|W|N|J|K|C|F|cm|mm|km|dm|nm|kg|mg|ml|mL|cl|ft|in|yd|mi|hr|ms|Hz|Pa|kW|kJ|lb|oz"
    "|€|£|¥|₹"
)
_POWER = r"(?:\s?(?:\^\s?(?:\{\s?-?\d\s?\}|-?\d)|[²³]))?"
_WORD = rf"(?:(?:{_SHORT})(?![A-Za-z])|[A-Za-zµΩ]{{3,24}}){_POWER}"
_WORDS = re.compile(
    rf"(.*[\d)}}])\s+{_WORD}(?:(?:\s*(?:/|\\cdot|\\times|-)\s*|\s+){_WORD}){{0,3}}\.?", re.DOTALL
)
_JOINED = re.compile(
    r"(.*\d)(?:cm|mm|km|kg|mg|ml|mL|ft|hrs?|mins?|secs?|lbs?|oz|mph|kph|km/h|m/s)"
    + _POWER
    + rf"|(.*\d)\s?(?:(?![{_OTHERWISE}])[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]){{1,3}}[.。]?"
)
_INNER = r"((?:[^{}]|\{[^{}]{0,8}\}){1,60})"
_TEXT = rf"(?:\\mu\s?)?\\(?:text|textrm|mathrm|mbox|operatorname)\s?\{{{_INNER}\}}{_POWER}"
_TEXTS = re.compile(
    rf"((?:\s|~|\\[,;:! ]|\\cdot|\\times|/)*(?:{_TEXT}|\\d?frac\s?\{{\s?{_TEXT}\s?\}}"
    rf"\{{\s?{_TEXT}\s?\}}|(?<=[\s,~])\\Omega(?![A-Za-z]))){{1,4}}[.\s]*$"
)
_REMARK = re.compile(r"\s\((?=[^()]{0,40}[A-Za-z]{3})(?:[A-Za-z=≈]|\\approx)[^()]{0,300}\)\.?$")
_FRONT = re.compile(
    r"^(-?)\s?(?:\\?\$|[€£¥₹]|\\pounds|\\euro|\\text(?:dollar|euro|sterling)|US\s{0,3}\\?\$|(?:USD|EUR|GBP|Rs\.?)"
    r"(?![A-Za-z]))\s{0,3}(?=[-\d.\\])"
)
_BACK = re.compile(r"(?<=[\d)}])\s?(?:\\?\$|[€£¥₹]|\\euro)$")
_PERCENT = re.compile(r"\s?(?:\\?%|\bpercent)$")


def without_degrees(text: str) -> str:
    """A text without degree signs, which an angle or a temperature may carry or leave out."""
    return _DEGREES.sub("", text)


def without_percent(text: str) -> str:
    """A text without a final percent sign."""
    return _PERCENT.sub("", text)


def without_text_unit(text: str) -> str:
    r"""A LaTeX answer without a unit or remark in ``\text{…}`` at its end.

    ``12\pi \text{ cm}^2`` gives ``12\pi``; ``1 \text{ or } 2`` stays, and so does text alone.
    """
    found = _TEXTS.search(text)
    if found is None:
        return text
    words = re.sub(r"\\[A-Za-z]+|[{}^]", " ", found[0])
    head = text[: found.start()].rstrip()
    is_remark = words.strip().startswith("(")
    is_unit = "π" not in words and (is_remark or not NO_UNIT.search(words))
    return head if is_unit and re.search(r"[\d)}\]π]$|\\pi$", head) else text


def without_unit(text: str) -> str:
    """A bare answer without currency, unit, percent sign or remark in parentheses."""
    text = without_percent(without_degrees(_REMARK.sub("", text.strip())).strip())
    text = _BACK.sub("", _FRONT.sub(r"\1", text))
    unit = _WORDS.fullmatch(text) or _JOINED.fullmatch(text)
    if unit:
        number: str = unit[1] or unit[2]
        if not NO_UNIT.search(text[len(number) :]) and not re.search("[A-Za-z]{2}", number):
            return number.rstrip()
    return text
