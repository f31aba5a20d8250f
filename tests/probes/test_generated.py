"""The built-in problems: distinct, reproducible, and right by an independent solution."""

import itertools
import re
from collections import Counter
from typing import Any

import pytest

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.instructions import INSTRUCTIONS, InstructionsProbe, score_instructions
from mi_tui.probes.kinds.multiple_choice import MultipleChoiceProbe
from mi_tui.probes.kinds.word_problems import WordProblemsProbe
from mi_tui.probes.problem import Problem

ALL = (1, 2, 3, 4, 5)
WORDS = WordProblemsProbe(kind="word-problems", problems=300, difficulty=ALL)
CHOICES = MultipleChoiceProbe(kind="multiple-choice", problems=300, difficulty=ALL)
TASKS = InstructionsProbe(kind="instructions", problems=300, difficulty=ALL)


def text(problem: Problem) -> str:
    return problem.messages[0]["content"]


@pytest.mark.parametrize("plan", [WORDS, CHOICES, TASKS], ids=lambda plan: plan.kind)
def test_problems_are_distinct_and_a_smaller_probe_is_a_prefix(
    plan: WordProblemsProbe | MultipleChoiceProbe | InstructionsProbe,
) -> None:
    many, few = (
        [(text(p), p.answer) for p in freeze(plan.model_copy(update={"problems": n})).problems]
        for n in (300, 40)
    )
    assert len({question for question, _ in many}) == 300
    assert many[:40] == few
    other = freeze(plan.model_copy(update={"seed": 1}))
    assert not {text(p) for p in other.problems} & {q for q, _ in many[:5]}
    assert Counter(p.stratum for p in freeze(plan).problems) == {f"difficulty {d}": 60 for d in ALL}


def test_asking_for_more_than_there_are_is_one_line() -> None:
    plan = InstructionsProbe(kind="instructions", problems=5000, difficulty=(1,))
    with pytest.raises(ProbeError, match="distinct problems of difficulty 1"):
        freeze(plan)


def solve_story(story: str) -> int:
    """The stock at the end, worked out from the sentences with no knowledge of the generator."""
    stock = 0
    for sentence in re.split(r"(?<=[.?])\s+", story):
        numbers = [int(n) for n in re.findall(r"\d+", sentence)]
        share = re.match(r"(Half|A third|A quarter|A fifth) of all", sentence)
        if " counts " in sentence:
            stock = numbers[0]
        elif share:
            stock -= stock // {"Half": 2, "A third": 3, "A quarter": 4, "A fifth": 5}[share[1]]
        elif sentence.startswith("As many as"):
            stock *= 2
        elif sentence.startswith("Twice as many as"):
            stock *= 3
        elif sentence.startswith("On each of the next"):
            stock -= numbers[0] * numbers[1]
        elif sentence.startswith("After that,"):
            stock -= numbers[0]
        elif sentence.startswith("Then"):
            stock += numbers[0] * (numbers[1] if len(numbers) > 1 else 1)
    return stock


def test_word_problems_have_the_answer_they_claim() -> None:
    for problem in freeze(WORDS).problems:
        assert int(problem.answer) == solve_story(text(problem)) > 0


def choices_of(problem: Problem) -> dict[str, str]:
    return dict(re.findall(r"^([A-D])\) (.*)$", text(problem), re.MULTILINE))


def solve_choice(question: str) -> str | None:
    numbers = [int(n) for n in re.findall(r"\d+", question)]
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    if question.startswith("Start on a"):
        moves = re.findall(r"(\d+) days (later|earlier)", question)
        shift = sum(int(n) if way == "later" else -int(n) for n, way in moves)
        start = days.index(question.split()[3])
        return days[(start + shift) % 7]
    if "remainder" in question:
        *factors, modulus = numbers
        products = (a * b for a, b in zip(factors[::2], factors[1::2], strict=True))
        return str(sum(products) % modulus)
    if question.startswith("Of "):
        everyone, tea, coffee, neither = numbers
        return str(tea + coffee + neither - everyone)
    if "tall" in question:
        facts = re.findall(r"(\w+) is (taller|shorter) than (\w+)", question)
        taller: set[tuple[str, str]] = {
            (a, b) if how == "taller" else (b, a) for a, how, b in facts
        }
        names = {name for pair in taller for name in pair}
        beneath = {name: sum(a == name for a, b in closure(taller)) for name in names}
        line: list[str] = sorted(names, key=lambda name: -beneath[name])
        places = ["tallest", "second", "third", "fourth", "fifth", "6th", "7th", "8th"]
        return line[places.index(question.split("Who is the ")[1].split()[0].rstrip("?"))]
    return None


def closure(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    while new := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
        pairs = pairs | new
    return pairs


def test_choices_are_four_and_the_letter_is_right() -> None:
    solved = 0
    for problem in freeze(CHOICES).problems:
        choices = choices_of(problem)
        assert len(set(choices.values())) == len(choices) == 4
        right = solve_choice(text(problem).split("\n\n")[1])
        if right is not None:
            solved += 1
            assert choices[problem.answer] == right
    assert solved > 200


def test_sequences_follow_one_rule() -> None:
    found = 0
    for problem in freeze(CHOICES).problems:
        shown = re.search(r"the sequence ([\d, ]+), …", text(problem))
        if shown is None:
            continue
        found += 1
        terms = [*map(int, shown[1].split(", ")), int(choices_of(problem)[problem.answer])]
        rests = [[b - factor * a for a, b in itertools.pairwise(terms)] for factor in (1, 2, 3)]
        # For one of the factors what is added grows evenly.
        assert any(len({b - a for a, b in itertools.pairwise(rest)}) == 1 for rest in rests)
    assert found > 20


def test_letters_are_spread() -> None:
    letters = Counter(problem.answer for problem in freeze(CHOICES).problems)
    assert min(letters[letter] for letter in "ABCD") > 45


def obedient_response(problem: Problem) -> str:
    """A response built to follow every instruction of a task."""
    arguments = {a["kind"]: a for a in problem.meta["instructions"]}
    words = arguments.get("keywords", {"keywords": [], "times": 0})
    body = " ".join([*words["keywords"]] * words["times"])
    body += " ?" * arguments.get("questions", {"questions": 0})["questions"]
    body += " oats" * (arguments.get("at-least-words", {"words": 3})["words"])
    start = arguments.get("opening", {"phrase": "Oats"})["phrase"]
    end = arguments.get("ending", {"phrase": "oats."})["phrase"]
    if "bullets" in arguments:
        middle = "\n* oats" * arguments["bullets"]["bullets"] + "\n"
    elif "paragraphs" in arguments:
        middle = "\n\noats" * (arguments["paragraphs"]["paragraphs"] - 1) + " "
    else:
        middle = " "
    response = f"{start} {body}{middle}{end}"
    if "lower-case" in arguments:
        return response.lower()
    return response.upper() if "upper-case" in arguments else response


def test_every_task_can_be_obeyed_and_is_not_obeyed_by_nothing() -> None:
    for problem in freeze(TASKS).problems:
        assert score_instructions(problem, obedient_response(problem)).value == 1.0, text(problem)
        assert score_instructions(problem, "  \n").value == 0.0


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "at-least-words": ({"words": 5}, "one two three"),
    "at-most-words": ({"words": 5}, "one two three four five six"),
    "bullets": ({"bullets": 2}, "* one"),
    "paragraphs": ({"paragraphs": 2}, "one\ntwo"),
    "lower-case": ({}, "One"),
    "upper-case": ({}, "ONe"),
    "no-commas": ({}, "one, two"),
    "questions": ({"questions": 1}, "One? Two!"),
    "keywords": ({"keywords": ["river"], "times": 2}, "A river. Rivers."),
    "rare-letter": ({"letter": "k", "most": 1}, "Kick"),
    "opening": ({"phrase": "In short"}, "So, in short"),
    "ending": ({"phrase": "That is all."}, "That is all. Or is it?"),
}


@pytest.mark.parametrize("kind", INSTRUCTIONS)
def test_every_check_can_fail(kind: str) -> None:
    arguments, response = BROKEN[kind]
    assert not INSTRUCTIONS[kind].holds(response, arguments)


def test_difficulty_is_the_number_of_instructions() -> None:
    for problem in freeze(TASKS).problems:
        assert problem.stratum == f"difficulty {len(problem.meta['instructions'])}"
