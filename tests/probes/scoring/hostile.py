"""Text as hostile as a model may write it, and the processor time that it takes."""

import time
from collections.abc import Callable

from hypothesis import strategies as st

LIMIT = 0.05
"""Seconds of processor time for a text of at most :data:`USUAL` characters."""

USUAL = 30_000

PIECES = [
    "\\boxed{", "\\boxed ", "\\fbox{", "}", "{", "answer:", "ANSWER: ", "**Final Answer**\n", "A",
    "$", "**", "\\(", "\\[", "\\text{", "1,", "234", " ", "\n", "=", "\\frac", "^\\circ",
    "the answer is ",
    "\u3000", "\u2009", "\ud83d", "\uff19", "\u0301", "or", "and", ",", "<answer>", "(", ")", "|",
    "#",
    "```json\n", "<think>", "</think>", "<|channel|>", "\\times 10^{", "9", "**9", "^{9", "!", "%",
    "cm",
    "\\\\", "'", '"', "_", "~", "\\,", "{,}", "option ", "A is correct", "so ", "\r", "\u2028",
    "\x00", "Wait, ", "no", "答案", "：", "。", "\x1b[", "`", "- ", "is ", "not ", ".", "-", "/",
]  # fmt: skip
HOSTILE = st.one_of(
    st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=120).map("".join)
)


def seconds(call: Callable[[], object]) -> float:
    """The processor time of a call; the least of four, as the machine may be busy."""
    best = float("inf")
    for _ in range(4):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
        if best < LIMIT / 2:
            break
    return best
