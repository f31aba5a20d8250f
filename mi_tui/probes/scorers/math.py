"""The scorer of mathematical answers: integers at once, all else by math-verify.

math-verify can take for ever on a hostile answer (``2^{10^9}``), so it runs without its own
signal-based limit, which works on a main thread only, inside a process that the pool may kill.
"""

import re
from typing import Any

from mi_tui.probes.errors import ScorerError
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.extraction import (
    MAX_ANSWER,
    answered_integer,
    as_integer,
    bare,
    stated_answer,
    without_degrees,
)
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind
from mi_tui.probes.text import last_boxed

TAIL = 2000
"""Without a box, a final answer is looked for in so many last characters."""

_PARTED_DIGITS = re.compile(r"\d[\s,;]*[\s,;]\d")


def math_scorer() -> Scorer:
    """Correct when the final answer is mathematically equal to the problem's answer.

    The final answer is the last box, as the prompt of the paper's AIME'25 asks for; without one
    it is what math-verify finds after "final answer is" or "answer:" near the end.

    Raises:
        ScorerError: math-verify is not installed.
    """
    try:
        import math_verify
    except ImportError as error:
        raise ScorerError("the math scorer needs math-verify: pip install math-verify") from error
    return _MathScorer(math_verify)


class _MathScorer:
    def __init__(self, math_verify: Any) -> None:
        self._library = math_verify
        self._anchored = [
            math_verify.LatexExtractionConfig(try_extract_without_anchor=False),
            math_verify.ExprExtractionConfig(try_extract_without_anchor=False),
        ]
        # Its regular expressions and grammar are compiled on first use, which takes a second.
        self._equal("\\boxed{\\frac{1}{2}}", "1/3")

    def __call__(self, problem: Problem, response: str) -> Score:
        """Judge the response; see :func:`math_scorer`."""
        content = last_boxed(response)
        if content is None:
            content = stated_answer(response[-TAIL:])
        if content is None:
            return self._judge_tail(problem.answer, response[-TAIL:])
        return self._judge(problem.answer, content)

    def _judge(self, wanted: str, content: str) -> Score:
        found, gold = answered_integer(content), as_integer(without_degrees(wanted))
        if found is not None and gold is not None:
            return Score(float(found == gold), str(found))
        if len(content) > MAX_ANSWER:
            return Score(0.0, content[:MAX_ANSWER])
        if gold is not None and _PARTED_DIGITS.search(bare(content)):
            # "1, 234" is two numbers, and a parser that drops spaces would make it one.
            return Score(0.0, content)
        answer, plain = without_degrees(bare(content)), without_degrees(wanted)
        return Score(float(self._equal(f"\\boxed{{{answer}}}", plain)), content)

    def _judge_tail(self, wanted: str, tail: str) -> Score:
        parsed = self._library.parse(tail.replace("**", ""), self._anchored, parsing_timeout=None)
        if not parsed:
            return Score(0.0)
        gold = self._gold(wanted)
        correct = bool(self._library.verify(gold, parsed, timeout_seconds=None))
        return Score(float(correct), str(parsed[-1])[:MAX_ANSWER])

    def _equal(self, answer: str, wanted: str) -> bool:
        parsed = self._library.parse(answer, parsing_timeout=None)
        return bool(self._library.verify(self._gold(wanted), parsed, timeout_seconds=None))

    def _gold(self, wanted: str) -> Any:
        # Both spellings of a gold answer, LaTeX and plain, are tried by the parser.
        return self._library.parse(f"${wanted}$", parsing_timeout=None) or self._library.parse(
            wanted, parsing_timeout=None
        )


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
