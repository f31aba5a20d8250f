"""The base of the problem generators: problems drawn from a seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.problem import Problem

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
"""What the paper asks for on AIME'25 (released configuration ``evaluation/aime25.py``)."""

_MAX_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """A problem without its place in a probe."""

    prompt: str
    answer: str
    meta: dict[str, Any] = field(default_factory=dict)


Writer = Callable[[random.Random, int], Draft]
"""Writes a problem of a difficulty, 1 to 5, with the randomness given."""


def draw(
    kind: str, seed: int, count: int, difficulties: tuple[int, ...], write: Writer
) -> list[Problem]:
    """Distinct problems, the difficulties taking turns.

    A smaller ``count`` gives a prefix of a larger one, and nothing but the arguments decides.

    Args:
        kind: the name of the generator; it separates the random numbers of two generators.
        seed: selects the problems.
        count: how many.
        difficulties: 1 to 5 each.
        write: writes one problem.

    Raises:
        ProbeError: the generator has not so many distinct problems of a difficulty.
    """
    drafts = islice(_distinct(kind, seed, difficulties, write), count)
    return [
        Problem(
            id=f"{number:04d}",
            messages=({"role": "user", "content": draft.prompt},),
            answer=draft.answer,
            stratum=f"difficulty {difficulties[(number - 1) % len(difficulties)]}",
            meta=draft.meta,
        )
        for number, draft in enumerate(drafts, start=1)
    ]


def _distinct(
    kind: str, seed: int, difficulties: tuple[int, ...], write: Writer
) -> Iterator[Draft]:
    rng = random.Random(f"{kind}/{seed}")
    seen: set[str] = set()
    while True:
        for difficulty in difficulties:
            yield _unseen(rng, difficulty, write, seen)


def _unseen(rng: random.Random, difficulty: int, write: Writer, seen: set[str]) -> Draft:
    for _ in range(_MAX_TRIES):
        draft = write(rng, difficulty)
        if draft.prompt not in seen:
            seen.add(draft.prompt)
            return draft
    raise ProbeError(
        f"there are no more than about {len(seen)} distinct problems of difficulty {difficulty}: "
        "ask for fewer problems, or for more difficulties"
    )
