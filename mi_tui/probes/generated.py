"""The base class of kinds whose problems are made up from a seed."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import Field

from mi_tui.plan.probe import ProbePlan
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.probe_kind import MADE_UP, THINKS, Kind
from mi_tui.probes.problem import Problem

Difficulty = Annotated[int, Field(ge=1, le=5)]
"""1 is the easiest of the built-in problems, 5 the hardest."""

NEW_PROBLEMS = 64
"""Problems of a new made-up probe: enough for differences of about a tenth."""

_MAX_TRIES = 1000


class GeneratedProbe(ProbePlan):
    """Problems made up from the seed: no download, and never seen in anybody's training.

    There is no end to them, so ``problems`` left out means 100.
    """

    problems: int | None = Field(default=100, ge=2, le=5000)

    @property
    def count(self) -> int:
        """How many problems to make up."""
        return 100 if self.problems is None else self.problems


G = TypeVar("G", bound=GeneratedProbe)


class Generated(Kind[G]):
    """A kind whose problems are made up from the seed."""

    group = MADE_UP
    start: Mapping[str, Any] = MappingProxyType({"problems": NEW_PROBLEMS, **THINKS})

    def size(self, plan: G) -> int:
        """As many as are asked for."""
        return plan.count


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
