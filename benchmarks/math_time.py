"""The processor time of the ``math`` scorer: on the table of answers, and on random expressions.

``python -m benchmarks.math_time [--expressions 2000] [--seed 7]``
"""

import argparse
import json
import random
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.judge import judge

LIMIT = 10.0
"""Seconds of processor time, as the pool allows."""

_TABLE = Path(__file__).parents[1] / "tests" / "probes" / "scoring" / "answers.jsonl"
_ATOMS = (
    "1", "2", "3", "7", "42", "99", "0.5", "x", "y", "z", "n", "a", "\\pi", "e", "i", "\\infty",
    "1234567", "\\theta", "k",
)  # fmt: skip
_SHAPES = (
    "\\frac{%s}{%s}", "\\sqrt{%s}", "(%s+%s)^{20}", "(%s+%s)^{99}", "(%s-%s)^{n}", "%s%s", "%s+%s",
    "%s-%s", "%s \\cdot %s", "(%s, %s)", "\\{%s, %s\\}", "\\sin(%s)", "\\ln(%s)", "\\arctan(%s)",
    "%s = %s", "[%s, %s)", "\\begin{pmatrix} %s & 1 \\\\ %s & 2 \\end{pmatrix}", "%s \\cup %s",
    "\\sqrt[7]{%s}", "|%s|",
)  # fmt: skip
_WANTED = (
    "42", "\\frac{1}{2}", "x^2+1", "(1, 2)", "\\sqrt{3}", "[2, 5)", "\\{1,2,3\\}", "2\\pi",
    "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}", "x = 3", "\\frac{\\sqrt{5}-1}{2}",
    "e^{i\\theta}", "n(n+1)/2",
)  # fmt: skip


def expression(rng: random.Random, depth: int) -> str:
    """A random expression of at most so many levels."""
    if depth <= 0:
        return rng.choice(_ATOMS)
    shape = rng.choice(_SHAPES)
    inner = [expression(rng, depth - 1 - rng.randrange(2)) for _ in range(shape.count("%s"))]
    return shape % tuple(inner)


def times(cases: Iterable[tuple[str, str]]) -> list[float]:
    """Seconds for each (wanted answer, response); what is cut counts with the limit."""
    found = []
    for wanted, response in cases:
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        try:
            judge("math", Problem("1", (), wanted), response, False)
        except TimeoutError:
            pass
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        found.append(time.process_time() - started)
    return sorted(found)


def line(name: str, found: Sequence[float]) -> str:
    """A row of a Markdown table."""
    count = len(found)
    middle, most = found[count // 2], found[int(0.99 * count)]
    over = sum(one > 0.05 for one in found) / count
    cut = sum(one >= LIMIT for one in found)
    return (
        f"| {name} | {count:,} | {1000 * middle:.1f} ms | {1000 * most:.0f} ms | {found[-1]:.2f} s"
        f" | {100 * over:.1f} % | {cut} |"
    )


def _cut(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expressions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    signal.signal(signal.SIGPROF, _cut)
    judge("math", Problem("1", (), "x+1"), "\\boxed{x}", False)
    table = [json.loads(row) for row in _TABLE.read_text(encoding="utf-8").splitlines()]
    written = [(case["answer"], case["response"]) for case in table if case["scorer"] == "math"]
    rng = random.Random(options.seed)
    drawn = [
        (rng.choice(_WANTED), f"\\boxed{{{expression(rng, rng.randrange(1, 7))}}}")
        for _ in range(options.expressions)
    ]
    print("| answers | number | median | 99 % under | longest | over 50 ms | cut at 10 s |")
    print("|---|---|---|---|---|---|---|")
    print(line("as models write them", times(written)))
    print(line("random expressions", times(drawn)))


if __name__ == "__main__":
    main()
