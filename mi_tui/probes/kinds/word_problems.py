"""Stories about a stock that is filled and emptied, with an integer answer."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.form_fields import Levels
from mi_tui.probes.generated import Difficulty, Draft, Generated, GeneratedProbe, draw
from mi_tui.probes.problem import Problem
from mi_tui.probes.prompts import BOXED

MAX_STOCK = 5000
"""A step that would exceed it is not taken, so that the numbers stay readable."""

_OWNERS = ("Mara", "Tobias", "Ines", "Farid", "Yuki", "Amara", "Leon", "Nadia", "Pavel", "Rosa")


class WordProblemsProbe(GeneratedProbe):
    """Stories with an integer answer; ``difficulty`` is about the number of steps to it."""

    kind: Literal["word-problems"]
    difficulty: tuple[Difficulty, ...] = Field(default=(2, 3, 4), min_length=1)


class WordProblems(Generated[WordProblemsProbe]):
    """Stories, each with an integer at its end."""

    name = "word-problems"
    order = 1
    title = "Word problems"
    about = "stories with an integer answer"
    plan = WordProblemsProbe
    fields = (Levels("difficulty", "Difficulty", "1 to 5: steps to the answer"),)
    scorer = "boxed-integer"

    def draw(self, plan: WordProblemsProbe) -> list[Problem]:
        """As many as are asked for."""
        return draw(self.name, plan.seed, plan.count, plan.difficulty, write_word_problem)


PROBE_KINDS.register(WordProblems())


@dataclass(frozen=True, slots=True)
class _Setting:
    things: str
    container: str
    place: str
    arrive: str
    leave: str


_SETTINGS = (
    _Setting("apples", "crates", "orchard shop", "are delivered", "are sold"),
    _Setting("books", "boxes", "library", "are donated", "are lent out"),
    _Setting("bricks", "pallets", "building site", "are unloaded", "are built into a wall"),
    _Setting("bulbs", "cartons", "workshop", "are bought", "are fitted"),
    _Setting("tickets", "rolls", "box office", "are printed", "are sold"),
    _Setting("tiles", "packs", "store room", "are brought in", "are laid"),
    _Setting("stamps", "sheets", "post office", "arrive", "are used"),
    _Setting("marbles", "bags", "toy shop", "are put on the shelf", "are sold"),
)

Step = tuple[str, int]
"""A sentence, and the stock after it."""


def write_word_problem(rng: random.Random, difficulty: int) -> Draft:
    """A story with ``difficulty`` + 1 steps from the first stock to the last.

    From difficulty 3 on, sentences with numbers that do not matter stand among the steps.
    """
    setting, owner = rng.choice(_SETTINGS), rng.choice(_OWNERS)
    stock = rng.randrange(20, 100)
    sentences = [f"{owner} counts {stock} {setting.things} in the {setting.place}."]
    for _ in range(difficulty + 1):
        sentence, stock = _step(rng, setting, stock)
        sentences.append(sentence)
    for _ in range(difficulty - 2):
        sentences.insert(rng.randrange(1, len(sentences)), _distraction(rng, setting, owner))
    sentences.append(f"How many {setting.things} are in the {setting.place} now?")
    return Draft(f"{' '.join(sentences)}\n{BOXED}", str(stock))


def _step(rng: random.Random, setting: _Setting, stock: int) -> Step:
    while True:
        step = rng.choice(_STEPS)(rng, setting, stock)
        if step is not None and 0 < step[1] <= MAX_STOCK:
            return step


def _some_arrive(rng: random.Random, setting: _Setting, stock: int) -> Step:
    count = rng.randrange(6, 90)
    return f"Then {count} more {setting.arrive}.", stock + count


def _containers_arrive(rng: random.Random, setting: _Setting, stock: int) -> Step:
    containers, each = rng.randrange(2, 10), rng.randrange(3, 25)
    text = (
        f"Then {containers} {setting.container} of {each} {setting.things} each {setting.arrive}."
    )
    return text, stock + containers * each


def _some_leave(rng: random.Random, setting: _Setting, stock: int) -> Step | None:
    if stock < 10:
        return None
    count = rng.randrange(3, min(stock, 90))
    return f"After that, {count} {setting.leave}.", stock - count


def _a_part_leaves(rng: random.Random, setting: _Setting, stock: int) -> Step | None:
    words = {2: "Half", 3: "A third", 4: "A quarter", 5: "A fifth"}
    parts = [part for part in words if stock % part == 0 and stock > part]
    if not parts:
        return None
    part = rng.choice(parts)
    return f"{words[part]} of all the {setting.things} {setting.leave}.", stock - stock // part


def _as_many_again(rng: random.Random, setting: _Setting, stock: int) -> Step:
    times, words = rng.choice(((2, "As many"), (3, "Twice as many")))
    return f"{words} as there are now {setting.arrive} in addition.", stock * times


def _each_day(rng: random.Random, setting: _Setting, stock: int) -> Step | None:
    days = rng.randrange(2, 8)
    if stock <= 2 * days:
        return None
    each = rng.randrange(2, min(stock // days + 1, 30))
    return f"On each of the next {days} days, {each} {setting.leave}.", stock - days * each


_STEPS: tuple[Callable[[random.Random, _Setting, int], Step | None], ...] = (
    _some_arrive,
    _containers_arrive,
    _some_leave,
    _a_part_leaves,
    _as_many_again,
    _each_day,
)


def _distraction(rng: random.Random, setting: _Setting, owner: str) -> str:
    number = rng.randrange(2, 60)
    return rng.choice(
        (
            f"{owner} has worked there for {number} months.",
            f"The {setting.place} is {number} km from the station.",
            f"Next year there is to be room for {10 * number} {setting.things}.",
            f"In the street there are {number} other shops.",
        )
    )
