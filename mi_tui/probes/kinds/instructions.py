"""Writing tasks with instructions that a program can verify.

The idea is IFEval's (Zhou et al. 2023, arXiv 2311.07911); the instructions and checks are our
own and need no library. Words are runs of letters, digits and apostrophes; paragraphs are
separated by blank lines.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.probes.form_fields import Levels
from mi_tui.probes.generated import Difficulty, Draft, Generated, GeneratedProbe, draw
from mi_tui.probes.problem import Problem, Score

_TASKS = (
    "Describe a morning at a harbour",
    "Explain why bread rises",
    "Write a short letter to a new neighbour",
    "Give advice to someone who learns to cycle",
    "Describe how a bridge carries its load",
    "Tell the story of a lost umbrella",
    "Explain how a library sorts its books",
    "Write an invitation to a garden party",
    "Describe the sound of rain on a tent",
    "Explain what makes a good map",
    "Write about a train journey through mountains",
    "Explain how seeds travel",
)
_WORDS = ("river", "window", "copper", "lantern", "winter", "garden", "paper", "signal", "market")
# No phrase has one of the rare letters, so that no task asks for a letter and against it.
_RARE_LETTERS = "bkpvw"
_ENDINGS = ("That is all.", "More on this soon.", "And so it goes.", "The rest is for later.")
_OPENINGS = ("Dear reader", "First of all", "Some time ago", "In short")

_WORD = re.compile(r"[\w'’]+")
_BULLET = re.compile(r"^[ \t]*[*-] +\S", re.MULTILINE)


class InstructionsProbe(GeneratedProbe):
    """Writing tasks with instructions a program can verify; ``difficulty`` is how many."""

    kind: Literal["instructions"]
    difficulty: tuple[Difficulty, ...] = Field(default=(1, 2, 3), min_length=1)


class Instructions(Generated[InstructionsProbe]):
    """Writing tasks, with as many instructions as the difficulty."""

    name = "instructions"
    order = 3
    title = "Instructions"
    about = "writing with instructions a program can verify"
    plan = InstructionsProbe
    fields = (Levels("difficulty", "Difficulty", "1 to 5: how many instructions"),)
    scorer = "instructions"

    def draw(self, plan: InstructionsProbe) -> list[Problem]:
        """As many as are asked for."""
        return draw(self.name, plan.seed, plan.count, plan.difficulty, write_instructions)


PROBE_KINDS.register(Instructions())


@dataclass(frozen=True, slots=True)
class Instruction:
    """One kind of instruction.

    ``group``: no two instructions of a task share one, so that they never contradict.
    ``draw`` gives the arguments, ``text`` the sentence, ``holds`` whether a response obeys.
    """

    group: str
    draw: Callable[[random.Random], dict[str, Any]]
    text: Callable[[dict[str, Any]], str]
    holds: Callable[[str, dict[str, Any]], bool]


INSTRUCTIONS: dict[str, Instruction] = {
    "at-least-words": Instruction(
        "length",
        lambda rng: {"words": 10 * rng.randrange(4, 16)},
        lambda a: f"Write at least {a['words']} words.",
        lambda text, a: _count_words(text) >= a["words"],
    ),
    "at-most-words": Instruction(
        "length",
        lambda rng: {"words": 10 * rng.randrange(6, 13)},
        lambda a: f"Write at most {a['words']} words.",
        lambda text, a: 0 < _count_words(text) <= a["words"],
    ),
    "bullets": Instruction(
        "shape",
        lambda rng: {"bullets": rng.randrange(2, 7)},
        lambda a: f"Include exactly {a['bullets']} bullet points, each a line that starts with *.",
        lambda text, a: len(_BULLET.findall(text)) == a["bullets"],
    ),
    "paragraphs": Instruction(
        "shape",
        lambda rng: {"paragraphs": rng.randrange(2, 5)},
        lambda a: f"Write exactly {a['paragraphs']} paragraphs, separated by blank lines.",
        lambda text, a: len(_paragraphs(text)) == a["paragraphs"],
    ),
    "lower-case": Instruction(
        "case",
        lambda _: {},
        lambda _: "Use lower-case letters only.",
        lambda text, _: text == text.lower(),
    ),
    "upper-case": Instruction(
        "case",
        lambda _: {},
        lambda _: "Use capital letters only.",
        lambda text, _: text == text.upper() and text != text.lower(),
    ),
    "no-commas": Instruction(
        "punctuation",
        lambda _: {},
        lambda _: "Do not use any commas.",
        lambda text, _: "," not in text,
    ),
    "questions": Instruction(
        "punctuation",
        lambda rng: {"questions": rng.randrange(1, 4)},
        lambda a: f"Use {a['questions']} or more question marks and no exclamation mark.",
        lambda text, a: text.count("?") >= a["questions"] and "!" not in text,
    ),
    "keywords": Instruction(
        "words",
        lambda rng: {"keywords": rng.sample(_WORDS, 2), "times": rng.randrange(1, 3)},
        lambda a: (
            f"Use each of the words {' and '.join(a['keywords'])} at least {_times(a['times'])}."
        ),
        lambda text, a: all(_occurrences(text, word) >= a["times"] for word in a["keywords"]),
    ),
    "rare-letter": Instruction(
        "words",
        lambda rng: {"letter": rng.choice(_RARE_LETTERS), "most": rng.randrange(1, 5)},
        lambda a: f"Use the letter {a['letter']} at most {_times(a['most'])}.",
        lambda text, a: text.lower().count(a["letter"]) <= a["most"],
    ),
    "opening": Instruction(
        "start",
        lambda rng: {"phrase": rng.choice(_OPENINGS)},
        lambda a: f'Begin with the words "{a["phrase"]}", in whatever case fits.',
        lambda text, a: text.lstrip('"* ').lower().startswith(a["phrase"].lower()),
    ),
    "ending": Instruction(
        "end",
        lambda rng: {"phrase": rng.choice(_ENDINGS)},
        lambda a: f'End with the sentence "{a["phrase"]}", in whatever case fits.',
        lambda text, a: text.rstrip('"* \n').lower().endswith(a["phrase"].lower()),
    ),
}


def write_instructions(rng: random.Random, difficulty: int) -> Draft:
    """A writing task with ``difficulty`` instructions, no two of one group."""
    groups = sorted({instruction.group for instruction in INSTRUCTIONS.values()})
    chosen = []
    for group in rng.sample(groups, difficulty):
        kinds = [kind for kind, instruction in INSTRUCTIONS.items() if instruction.group == group]
        kind = rng.choice(kinds)
        chosen.append({"kind": kind, **INSTRUCTIONS[kind].draw(rng)})
    texts = [INSTRUCTIONS[arguments["kind"]].text(arguments) for arguments in chosen]
    return Draft(f"{rng.choice(_TASKS)}. {' '.join(texts)}", "", {"instructions": chosen})


def score_instructions(problem: Problem, response: str) -> Score:
    """1.0 when every instruction is obeyed (IFEval's prompt-level strict), else 0.0."""
    instructions = problem.meta["instructions"]
    obeyed = [INSTRUCTIONS[a["kind"]].holds(response, a) for a in instructions]
    return Score(float(bool(response.strip()) and all(obeyed)))


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _count_words(text: str) -> int:
    return len(_WORD.findall(text))


def _paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n[ \t]*\n", text.strip()) if part.strip()]


def _occurrences(text: str, word: str) -> int:
    return len(re.findall(rf"\b{re.escape(word)}\b", text, re.IGNORECASE))
