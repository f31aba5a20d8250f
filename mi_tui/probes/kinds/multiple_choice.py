"""Four-way choices that take reasoning and no knowledge."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.form_fields import Levels
from mi_tui.probes.generated import Difficulty, Draft, Generated, GeneratedProbe, draw
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import choice_prompt

LETTERS = "ABCD"

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMES = ("Ada", "Ben", "Cleo", "Dev", "Eli", "Fay", "Gus", "Hana")


class MultipleChoiceProbe(GeneratedProbe):
    """Four-way choices that need reasoning: sequences, orderings, calendars, sets."""

    kind: Literal["multiple-choice"]
    difficulty: tuple[Difficulty, ...] = Field(default=(2, 3, 4), min_length=1)


class MultipleChoice(Generated[MultipleChoiceProbe]):
    """Questions of five families."""

    name = "multiple-choice"
    order = 2
    title = "Multiple choice"
    about = "four-way choices that need reasoning"
    plan = MultipleChoiceProbe
    fields = (Levels("difficulty", "Difficulty", "1 to 5, in turn"),)
    scorer = "choice"

    def draw(self, plan: MultipleChoiceProbe) -> list[Problem]:
        """As many as are asked for."""
        return draw(self.name, plan.seed, plan.count, plan.difficulty, write_choice)


PROBE_KINDS.register(MultipleChoice())


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    right: str
    wrong: tuple[str, str, str]


def write_choice(rng: random.Random, difficulty: int) -> Draft:
    """A question of one of the families below, its right choice at a random letter."""
    question = rng.choice(_FAMILIES)(rng, difficulty)
    choices = [question.right, *question.wrong]
    rng.shuffle(choices)
    answer = LETTERS[choices.index(question.right)]
    return Draft(choice_prompt(question.text, choices), answer, {"letters": LETTERS})


def _numbers(rng: random.Random, text: str, right: int, near: tuple[int, ...]) -> _Question:
    """A question whose wrong choices are likely slips, filled up with neighbours."""
    wrong: list[int] = []
    for candidate in (*near, *(right + shift for shift in (1, -1, 2, -2, 10, -10))):
        if candidate != right and candidate > 0 and candidate not in wrong:
            wrong.append(candidate)
    first, second, third = rng.sample(wrong[:4], 3)
    return _Question(text, str(right), (str(first), str(second), str(third)))


def _sequence(rng: random.Random, difficulty: int) -> _Question:
    """Each term is a factor times the one before plus a constant, which may itself grow."""
    factor = rng.choice((1, 2)) if difficulty < 3 else rng.choice((2, 3))
    constant, growth = rng.randrange(2, 6 + 2 * difficulty), 0
    if difficulty in (2, 4, 5):
        growth = rng.randrange(1, difficulty + 1)
    terms, add = [rng.randrange(1, 10)], constant
    for _ in range(5):
        terms.append(factor * terms[-1] + add)
        add += growth
    shown, right = terms[:5], terms[5]
    text = f"Which number continues the sequence {', '.join(map(str, shown))}, …?"
    slips = (factor * shown[-1] + constant, 2 * shown[-1] - shown[-2], right + growth)
    return _numbers(rng, text, right, slips)


def _calendar(rng: random.Random, difficulty: int) -> _Question:
    """A weekday so many days before or after another."""
    start = rng.randrange(7)
    shift, words = 0, []
    for _ in range(difficulty):
        days, later = rng.randrange(3, 20 * difficulty), rng.random() < 0.6
        shift += days if later else -days
        words.append(f"{days} days {'later' if later else 'earlier'}")
    right = _DAYS[(start + shift) % 7]
    wrong = rng.sample([day for day in _DAYS if day != right], 3)
    moves = ", then to the day ".join(words)
    text = f"Start on a {_DAYS[start]} and go to the day {moves}. Which weekday is it?"
    return _Question(text, right, (wrong[0], wrong[1], wrong[2]))


def _ordering(rng: random.Random, difficulty: int) -> _Question:
    """Who stands at a place of a line that pairwise comparisons describe."""
    size = difficulty + 3
    line = rng.sample(_NAMES, size)
    facts = [
        f"{a} is taller than {b}" if rng.random() < 0.5 else f"{b} is shorter than {a}"
        for a, b in pairwise(line)
    ]
    rng.shuffle(facts)
    place = rng.randrange(size)
    ordinal = ("tallest", "second tallest", "third tallest", "fourth tallest", "fifth tallest")
    which = ordinal[place] if place < len(ordinal) else f"{place + 1}th tallest"
    wrong = rng.sample([name for name in line if name != line[place]], 3)
    text = f"{'; '.join(facts)}. Who is the {which}?"
    return _Question(text, line[place], (wrong[0], wrong[1], wrong[2]))


def _overlap(rng: random.Random, difficulty: int) -> _Question:
    """Inclusion and exclusion over two sets."""
    both = rng.randrange(3, 10 * difficulty)
    tea, coffee = both + rng.randrange(2, 15 * difficulty), both + rng.randrange(2, 15 * difficulty)
    neither = rng.randrange(1, 8 * difficulty)
    everyone = tea + coffee - both + neither
    text = (
        f"Of {everyone} guests, {tea} drink tea and {coffee} drink coffee, and {neither} drink "
        "neither. How many drink both?"
    )
    slips = (abs(everyone - tea - coffee), everyone - neither - tea, both + neither)
    return _numbers(rng, text, both, slips)


def _remainder(rng: random.Random, difficulty: int) -> _Question:
    """The remainder of a sum of products."""
    modulus = rng.randrange(7, 10 + 4 * difficulty)
    pairs = [
        (rng.randrange(3, 10 * difficulty + 5), rng.randrange(3, 10)) for _ in range(difficulty)
    ]
    total = sum(a * b for a, b in pairs)
    terms = " + ".join(f"{a}×{b}" for a, b in pairs)
    text = f"What is the remainder when {terms} is divided by {modulus}?"
    right = total % modulus
    return _numbers(rng, text, right, ((total + 1) % modulus, modulus - right, total // modulus))


_FAMILIES: tuple[Callable[[random.Random, int], _Question], ...] = (
    _sequence,
    _calendar,
    _ordering,
    _overlap,
    _remainder,
)
