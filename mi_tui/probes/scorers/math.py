"""The scorer of mathematical answers: plain numbers at once, all else by math-verify.

math-verify can take for ever on a hostile answer (``2^{10^9}``), so it runs without its own
signal-based limit, which works on a main thread only, inside a process that the pool may kill.
"""

import re
from typing import Any

from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.extraction import (
    answered_integer,
    as_integer,
    is_sum,
    mathematical_answer,
)
from mi_tui.probes.scoring.latex import as_latex, equal_numbers, grows_beyond_bounds
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind
from mi_tui.probes.scoring.spelling import MAX_ANSWER, bare, without_point
from mi_tui.probes.scoring.units import without_degrees, without_percent

MAX_GOLDS = 4096
"""The parsed answers of so many problems are kept."""

_RELATION = re.compile(r"^(?:[<>≤≥≠]|\\(?:[gl][te]|[gl]eq|[gl]eqslant|neq?)(?![A-Za-z]))")
_RATIO = re.compile(r"\d\s?:\s?\d+\s?:\s?\d")
"""More than two parts, which math-verify would take for a fraction."""
_SEVERAL = re.compile(r"[,;]|\b(?:and|or)\b")
_BASE = re.compile(r"\d\s?_\s?\{?\s?\d")
_PARTED_DIGITS = re.compile(r"\d[\s,;]*[\s,;]\d")


def math_scorer() -> Scorer:
    """Correct when the final answer is mathematically equal to the problem's answer.

    The final answer is the last box, as the prompt of the paper's AIME'25 asks for; without one
    it is what is stated near the end (:func:`extraction.mathematical_answer`). Integers, equal
    texts, fractions and decimals are compared here; math-verify works the others out.

    Raises:
        ScorerError: math-verify is not installed.
    """
    try:
        import math_verify
    except ImportError as error:
        raise ScorerError("the math scorer needs math-verify: pip install math-verify") from error
    return MathScorer(math_verify)


class MathScorer:
    """Judges mathematical answers; see :func:`math_scorer`.

    Args:
        math_verify: the library that works answers out, by its ``parse`` and ``verify``.
    """

    def __init__(self, math_verify: Any) -> None:
        self._library = math_verify
        self._golds: dict[str, Any] = {}
        # Its regular expressions and grammar are compiled on first use, which takes a second.
        self._equal("\\frac{1}{2}", "1/3")

    def __call__(self, problem: Problem, response: str) -> Score:
        """Judge the response."""
        content = mathematical_answer(response)
        return Score(0.0) if content is None else self._judge(problem.answer, content)

    def _judge(self, wanted: str, content: str) -> Score:
        kept = content[:MAX_ANSWER]
        found, gold = answered_integer(content), as_integer(without_degrees(wanted))
        if found is not None and gold is not None:
            return Score(float(found == gold), str(found))
        if max(len(content), len(wanted)) > MAX_ANSWER:
            return Score(float(content.split() == wanted.split()), kept)
        if _as_text(content) == _as_text(wanted):
            return Score(1.0, kept)
        answer, plain = as_latex(content), as_latex(wanted)
        if (equal := equal_numbers(answer, plain)) is not None:
            return Score(float(equal), kept)
        if _RATIO.search(answer) or _RATIO.search(plain):
            return Score(0.0, kept)
        if _says_more(answer, plain):
            return Score(0.0, kept)
        if gold is not None and _PARTED_DIGITS.search(bare(content)):
            # "1, 234" is two numbers, and a parser that drops spaces would make it one.
            return Score(0.0, kept)
        # A percent sign may be left out where the problem's answer has none.
        readings = [answer] if plain.endswith("%") else [answer, without_percent(answer)]
        if "=" in answer and "=" not in plain and not _SEVERAL.search(answer):
            readings.append(answer.rpartition("=")[2])
        tried = [one for one in dict.fromkeys(readings) if not grows_beyond_bounds(one)]
        if grows_beyond_bounds(plain):
            return Score(None, kept, "the problem's answer is too large to be worked out")
        return Score(float(any(self._equal(one, plain) for one in tried)), kept)

    def _equal(self, answer: str, wanted: str) -> bool:
        parsed = self._library.parse(f"\\boxed{{{answer}}}", parsing_timeout=None)
        verify = self._library.verify
        # 2 <= x < 5 is the interval [2, 5).
        return bool(
            verify(self._gold(wanted), parsed, allow_set_relation_comp=True, timeout_seconds=None)
        )

    def _gold(self, wanted: str) -> Any:
        if wanted not in self._golds:
            if len(self._golds) >= MAX_GOLDS:
                self._golds.clear()
            # Both spellings of a gold answer, LaTeX and plain, are tried by the parser.
            self._golds[wanted] = self._library.parse(
                f"${wanted}$", parsing_timeout=None
            ) or self._library.parse(wanted, parsing_timeout=None)
        return self._golds[wanted]


def _as_text(answer: str) -> str:
    """An answer for a comparison letter by letter, spacing and case aside."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", without_point(bare(answer))).casefold()


def _says_more(answer: str, wanted: str) -> bool:
    """Whether an answer has a relation, a base or an equation that math-verify would drop."""
    term, equals, _ = answer.partition("=")
    if equals and "=" not in wanted and is_sum(term):
        return True
    return any(sign.search(answer) and not sign.search(wanted) for sign in (_RELATION, _BASE))


SCORERS.register(
    ScorerKind(
        "math",
        "the last box is mathematically equal to `answer` (math-verify); without a box, what "
        "follows “final answer is” near the end",
        lambda _: math_scorer(),
        order=3,
        for_files=True,
    )
)
