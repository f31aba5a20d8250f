"""Arithmetic problems, the ones that the bundled demo pair can solve.

A problem is a chain of one to five operations, worked strictly left to right (no operator
precedence) and modulo 100, e.g. ``Compute 47*6+5-8 mod 100`` with the answer 79. About one fifth
of the prompts with two or more operations are *held out*: the demo pair never trains on them, so
a probe made of them measures solving and not remembering.

Nothing depends on the process or the machine: the same seed always gives the same problems.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, field_validator

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.form_fields import Levels
from mi_tui.probes.generated import NEW_PROBLEMS, Generated, GeneratedProbe
from mi_tui.probes.problem import Problem

MODULUS = 100
"""All values are integers in ``range(MODULUS)``."""

OPERATORS = ("+", "-", "*")
"""The operations, as they are written in a prompt."""

OPERANDS = range(2, 10)
"""What an operation may add, subtract or multiply by."""

MAX_OPERATIONS = 5
"""The longest chain; the shortest has one operation."""

MAX_HELD_OUT_PER_LENGTH = 5_000
"""How many held-out problems of one length may be asked for (two operations have about 11,500)."""

_MIN_HELD_OUT_OPERATIONS = 2
_HELD_OUT_ONE_IN = 5


class ArithmeticProbe(GeneratedProbe):
    """Chains of + − × modulo 100, held out from the demo pair's training.

    ``operations`` are the lengths of the chains; they take turns.
    """

    kind: Literal["arithmetic"]
    operations: tuple[Annotated[int, Field(ge=2, le=5)], ...] = Field(
        default=(2, 3, 4, 5), min_length=1
    )

    @field_validator("operations")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(value)))


class Arithmetic(Generated[ArithmeticProbe]):
    """Chains that the demo pair never trained on."""

    name = "arithmetic"
    order = 4
    title = "Arithmetic"
    about = "chains of + − × modulo 100, for the demo pair"
    plan = ArithmeticProbe
    start = MappingProxyType({"problems": NEW_PROBLEMS, "max_new_tokens": 320})
    fields = (Levels("operations", "Operations", "2 to 5 in a chain, in turn"),)
    scorer = "boxed-integer"

    def draw(self, plan: ArithmeticProbe) -> list[Problem]:
        """As many chains as are asked for."""
        chains = held_out_chains(plan.seed, plan.count, plan.operations)
        return [
            Problem(
                id=f"{number:04d}",
                messages=({"role": "user", "content": chain.prompt},),
                answer=str(chain.answer),
                stratum=f"{len(chain.steps)} operations",
            )
            for number, chain in enumerate(chains, start=1)
        ]


PROBE_KINDS.register(Arithmetic())


@dataclass(frozen=True, slots=True)
class Chain:
    """One arithmetic problem.

    Attributes:
        start: The first number, 0 to 99.
        steps: One to five pairs of an operator (``+``, ``-`` or ``*``) and an operand (2 to 9).

    Raises:
        ValueError: A part lies outside these ranges.
    """

    start: int
    steps: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        """Refuse a problem outside the ranges that the class promises."""
        if self.start not in range(MODULUS):
            raise ValueError(f"start must be 0 to {MODULUS - 1}, not {self.start}")
        _check_operations(len(self.steps))
        for operator, operand in self.steps:
            if operator not in OPERATORS or operand not in OPERANDS:
                raise ValueError(f"not a step of an arithmetic chain: {operator!r} {operand!r}")

    @property
    def prompt(self) -> str:
        """The question as a model gets it, before any chat template."""
        expression = "".join(f"{operator}{operand}" for operator, operand in self.steps)
        return f"Compute {self.start}{expression} mod {MODULUS}"

    @property
    def values(self) -> tuple[int, ...]:
        """The running value after each step, each 0 to 99; as many as there are steps."""
        running = self.start
        values = []
        for operator, operand in self.steps:
            running = _apply(running, operator, operand)
            values.append(running)
        return tuple(values)

    @property
    def answer(self) -> int:
        """The value after the last step, 0 to 99."""
        return self.values[-1]


def draw_chain(rng: random.Random, operations: int) -> Chain:
    """Draw one problem, every start, operator and operand equally likely.

    Args:
        rng: Where the randomness comes from; it is advanced.
        operations: How many operations the chain has, 1 to 5.

    Raises:
        ValueError: ``operations`` is outside 1 to 5.
    """
    _check_operations(operations)
    start = rng.randrange(MODULUS)
    steps = tuple((rng.choice(OPERATORS), rng.choice(OPERANDS)) for _ in range(operations))
    return Chain(start, steps)


def is_held_out(chain: Chain) -> bool:
    """Say whether a problem is kept out of training.

    True for about one fifth of the problems with two or more operations, and for none with one:
    those are the facts that longer chains are made of. The rule hashes the prompt, so it is the
    same in every process, on every machine and in every version of Python.
    """
    if len(chain.steps) < _MIN_HELD_OUT_OPERATIONS:
        return False
    digest = hashlib.sha256(chain.prompt.encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") % _HELD_OUT_ONE_IN == 0


def held_out_chains(seed: int, count: int, operations: tuple[int, ...]) -> list[Chain]:
    """Draw distinct held-out problems, as many of each length as of any other.

    The lengths take turns, so every prefix of the list is balanced too, and a smaller ``count``
    gives a prefix of a larger one.

    Args:
        seed: Selects the problems.
        count: How many to draw; 0 gives an empty list.
        operations: The chain lengths to take turns with, distinct, each 2 to 5.

    Raises:
        ValueError: ``count`` is negative or more than 5,000 for each length, or ``operations`` is
            empty, repeats a length or names one that has no held-out problems.
    """
    if not operations or len(set(operations)) != len(operations):
        raise ValueError("operations must name at least one chain length, each of them once")
    for length in operations:
        if not _MIN_HELD_OUT_OPERATIONS <= length <= MAX_OPERATIONS:
            raise ValueError(
                f"held-out chains have {_MIN_HELD_OUT_OPERATIONS} to {MAX_OPERATIONS} operations, "
                f"not {length}"
            )
    most = MAX_HELD_OUT_PER_LENGTH * len(operations)
    if not 0 <= count <= most:
        raise ValueError(f"count must be 0 to {most}, not {count}")
    return list(islice(_distinct_held_out(random.Random(seed), operations), count))


def _distinct_held_out(rng: random.Random, operations: tuple[int, ...]) -> Iterator[Chain]:
    seen: set[Chain] = set()
    for length in cycle(operations):
        chain = draw_chain(rng, length)
        while chain in seen or not is_held_out(chain):
            chain = draw_chain(rng, length)
        seen.add(chain)
        yield chain


def _apply(value: int, operator: str, operand: int) -> int:
    if operator == "+":
        result = value + operand
    elif operator == "-":
        result = value - operand
    else:
        result = value * operand
    return result % MODULUS


def _check_operations(operations: int) -> None:
    if not 1 <= operations <= MAX_OPERATIONS:
        raise ValueError(f"a chain has 1 to {MAX_OPERATIONS} operations, not {operations}")
