"""Flips and results by group, as tables, plain data and lines of CSV."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.statistics.flips import SOLVED, Answers, Flip, FlipCounts, Flips, ProblemFlips
from mi_tui.plan.recipe import labels
from mi_tui.present import numbers
from mi_tui.present.table import Column, Shown, drawn
from mi_tui.probes.text import shown_line

RULE = (
    f"A problem is solved where the mean score of its scored samples is at least {SOLVED:g}. "
    "Fixed: solved by this recipe alone; broken: by the other alone."
)
"""How the words are meant, for a reader."""

FLIPPED = (Flip.FIXED, Flip.BROKEN)
"""What is listed problem by problem unless more is asked for."""


def group_name(probe: str | None, stratum: str | None) -> str:
    """A group of problems in words, safe to show."""
    if probe is None:
        return "all problems"
    return shown_line(probe, 40) + ("" if stratum is None else f" · {stratum_name(stratum)}")


def stratum_name(stratum: str) -> str:
    """A stratum in words, safe to show."""
    return shown_line(stratum, 30) or "no stratum"


@dataclass(frozen=True, slots=True)
class _CountLine:
    against: str
    group: FlipCounts


def _count(flip: Flip) -> Column[_CountLine]:
    return Column(
        id=flip,
        title=flip.capitalize(),
        help=f"Problems that are {flip}.",
        text=lambda line: numbers.count(line.group.counts[flip]),
        width=6,
    )


COUNTS: tuple[Column[_CountLine], ...] = (
    Column(
        id="against",
        title="Against",
        help="The recipe that it is compared with.",
        text=lambda line: line.against,
        width=14,
        align="left",
    ),
    Column(
        id="group",
        title="Problems",
        help="All problems, or those of a probe or stratum.",
        text=lambda line: group_name(line.group.probe, line.group.stratum),
        width=20,
        align="left",
    ),
    *(_count(flip) for flip in Flip),
)
"""The table of counts."""


def counts_table(found: Flips, room: int) -> Table:
    """How many problems flip, over all and in each probe and stratum."""
    _, *against = labels([found.recipe, *found.against])
    lines = [
        _CountLine(name, group)
        for name, groups in zip(against, found.counts, strict=True)
        for group in groups
    ]
    return drawn(COUNTS, lines, room)


def problems_table(found: Flips, room: int, kinds: Iterable[Flip] = FLIPPED) -> Table | None:
    """A line for each problem of which one flip is of these kinds; ``None`` without any."""
    listed = problems_of(found, kinds)
    if not listed:
        return None
    own, *against = labels([found.recipe, *found.against])
    columns = [*_PROBLEM, _scores(own, lambda line: line.answers)]
    for place, name in enumerate(against):
        columns += [_scores(name, partial(_other, place)), _flipped(name, place)]
    return drawn(columns, listed, room)


_PROBLEM: tuple[Column[ProblemFlips], ...] = (
    Column(
        id="problem",
        title="Problem",
        help="The problem's id.",
        text=lambda line: shown_line(line.problem, 24),
        width=10,
        align="left",
    ),
    Column(
        id="group",
        title="Probe · stratum",
        help="Where the problem belongs.",
        text=lambda line: group_name(line.probe, line.stratum or None),
        width=24,
        align="left",
        shown=Shown.WITH_ROOM,
    ),
)


def _other(place: int, line: ProblemFlips) -> Answers:
    return line.against[place]


def _scores(name: str, answers: Callable[[ProblemFlips], Answers]) -> Column[ProblemFlips]:
    return Column(
        id=f"score of {name}",
        title=name,
        help="Its mean score, and over how many scored samples.",
        text=lambda line: _cell(answers(line)),
        width=12,
    )


def _cell(answers: Answers) -> str:
    share = numbers.MISSING if answers.score is None else numbers.percent(answers.score)
    return f"{share} of {answers.samples}{'!' * bool(answers.not_scored)}"


def _flipped(name: str, place: int) -> Column[ProblemFlips]:
    return Column(
        id=f"against {name}",
        title=f"vs {name}",
        help=f"What becomes of the problem from {name} on.",
        text=lambda line: line.flips[place].value,
        width=8,
        align="left",
    )


def answers_in_words(answers: Answers) -> str:
    """``75 % of 4``; with the responses that could not be scored."""
    lost = f", {answers.not_scored} not scored" if answers.not_scored else ""
    if answers.score is None:
        return f"{numbers.MISSING}{lost}"
    return f"{numbers.percent(answers.score)} of {answers.samples}{lost}"


def problems_of(found: Flips, kinds: Iterable[Flip]) -> list[ProblemFlips]:
    """The problems of which one flip is of these kinds."""
    wanted = set(kinds)
    return [problem for problem in found.problems if wanted & set(problem.flips)]


def flip_words(found: Flips, index: int) -> str:
    """What becomes of one problem, in a line: ``MI-0.6 75 % of 4 · from MI-0 (0 % of 4) fixed``."""
    problem = next((one for one in found.problems if one.index == index), None)
    if problem is None:
        return ""
    own, *against = labels([found.recipe, *found.against])
    parts = [f"{own} {answers_in_words(problem.answers)}"]
    for name, other, flip in zip(against, problem.against, problem.flips, strict=True):
        parts.append(f"from {name} ({answers_in_words(other)}) {flip.value}")
    return " · ".join(parts)


def note(found: Flips) -> str:
    """What is to be known besides: a λ that stands for another, and what was not scored."""
    parts = []
    if found.wanted is not None:
        parts.append(
            f"{found.wanted.label} was not asked itself: {found.recipe.label}, the nearest row,"
            " stands for it."
        )
    if found.not_scored:
        parts.append(f"{found.not_scored:,} responses were not scored and are left out (!).")
    return " ".join([*parts, RULE])


def flips_picture(found: Flips, room: int, kinds: Sequence[Flip] = FLIPPED) -> RenderableType:
    """Counts, problems and what they mean, for ``room`` columns."""
    problems = problems_table(found, room, kinds)
    listed = " or ".join(kinds)
    return Group(
        Text(f"Flips of {found.recipe.label}", "bold"),
        counts_table(found, room),
        Text(),
        problems if problems is not None else Text(f"No problem is {listed}."),
        Text(),
        Text(note(found)),
    )


CSV_HEAD = (
    "probe",
    "problem",
    "stratum",
    "recipe",
    "score",
    "samples",
    "not_scored",
    "against",
    "against_score",
    "against_samples",
    "against_not_scored",
    "flip",
)


def csv_rows(found: Flips | None) -> list[Sequence[object]]:
    """The header, then a row for each problem and recipe that it is compared under."""
    rows: list[Sequence[object]] = [CSV_HEAD]
    if found is None:
        return rows
    own, *against = labels([found.recipe, *found.against])
    for one in found.problems:
        for name, other, flip in zip(against, one.against, one.flips, strict=True):
            rows.append(
                (
                    *(one.probe, one.problem, one.stratum),
                    *(own, one.answers.score, one.answers.samples, one.answers.not_scored),
                    *(name, other.score, other.samples, other.not_scored),
                    flip.value,
                )
            )
    return rows


def flips_data(found: Flips) -> dict[str, Any]:
    """Flips as JSON types."""
    own, *against = labels([found.recipe, *found.against])

    def answers(one: Answers) -> dict[str, Any]:
        return {"score": one.score, "samples": one.samples, "not_scored": one.not_scored}

    return {
        "recipe": own,
        "stands_for": found.wanted.label if found.wanted else None,
        "solved_from": SOLVED,
        "not_scored": found.not_scored,
        "against": [
            {
                "recipe": name,
                "groups": [
                    {
                        "probe": group.probe,
                        "stratum": group.stratum,
                        **{flip.value: count for flip, count in group.counts.items()},
                    }
                    for group in groups
                ],
            }
            for name, groups in zip(against, found.counts, strict=True)
        ],
        "problems": [
            {
                "probe": one.probe,
                "problem": one.problem,
                "index": one.index,
                "stratum": one.stratum,
                "answers": {
                    name: answers(them)
                    for name, them in zip((own, *against), (one.answers, *one.against), strict=True)
                },
                "flips": {name: flip.value for name, flip in zip(against, one.flips, strict=True)},
            }
            for one in found.problems
        ],
    }
