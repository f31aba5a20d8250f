"""Flips: the problems that one recipe solves and another does not.

A recipe solves a problem when the mean score of its scored samples is at least one half: the
majority of right answers, where scores are 0 or 1. Responses that could not be scored are left
out and counted. The name is that of Dutta et al. 2024 (arXiv 2407.09141).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.statistics.cells import aggregate
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe

SOLVED = 0.5
"""The mean score from which on a problem counts as solved."""


class FlipError(MiTuiError):
    """Recipes whose answers cannot be compared problem by problem."""


class Flip(StrEnum):
    """What becomes of a problem from one recipe to another.

    ``FIXED``: solved by the second alone; ``BROKEN``: by the first alone; ``ALWAYS``: by both;
    ``NEVER``: by neither; ``UNKNOWN``: one of the two has no scored response to it.
    """

    FIXED = "fixed"
    BROKEN = "broken"
    ALWAYS = "always"
    NEVER = "never"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answers:
    """How one recipe answers one problem.

    ``score`` is the mean over ``samples`` scored responses, ``None`` without any; ``not_scored``
    counts the others.
    """

    score: float | None
    samples: int
    not_scored: int

    @property
    def solved(self) -> bool | None:
        """Whether the problem counts as solved; ``None`` where nothing was scored."""
        return None if self.score is None else self.score >= SOLVED


@dataclass(frozen=True, slots=True)
class ProblemFlips:
    """One problem under the recipe and under those it is compared with.

    ``index`` is the problem's index in the study. ``against`` and ``flips`` have one entry for
    each of :attr:`Flips.against`.
    """

    index: int
    probe: str
    problem: str
    stratum: str
    answers: Answers
    against: tuple[Answers, ...]
    flips: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class FlipCounts:
    """How many problems of a group flip, against one recipe.

    ``probe`` and ``stratum`` name the group, ``None`` for all.
    """

    probe: str | None
    stratum: str | None
    counts: Mapping[Flip, int]


@dataclass(frozen=True, slots=True)
class Flips:
    """The search problems under ``recipe``, each compared with ``against``.

    ``counts`` has for each of ``against`` the counts over all problems, then those of each probe
    and stratum where there are several. ``wanted`` is the recipe that was asked for, where it was
    not measured itself and the nearest λ stands for it.
    """

    recipe: Recipe
    against: tuple[Recipe, ...]
    problems: tuple[ProblemFlips, ...]
    counts: tuple[tuple[FlipCounts, ...], ...]
    wanted: Recipe | None = None

    @property
    def not_scored(self) -> int:
        """Responses that could not be scored, of all the recipes together."""
        return sum(
            one.not_scored
            for problem in self.problems
            for one in (problem.answers, *problem.against)
        )


def find_flips(observations: Observations, recipe: Recipe, against: Sequence[Recipe]) -> Flips:
    """Compare a recipe with others, problem by problem; held-out problems are left aside.

    Args:
        observations: the study's rollouts.
        recipe: the recipe; where it has no rollouts, the nearest λ of its kind that has some.
        against: those it is compared with; itself and what has no rollouts are left out.

    Raises:
        FlipError: the recipe, or everything it is compared with, was not asked search problems.
    """
    cells = aggregate(observations)
    search = np.array([not problem.held_out for problem in observations.problems], dtype=bool)
    missing = observations.where(observations.not_scored)
    shape = cells.count.shape
    lost = np.zeros(shape, dtype=np.int64)
    np.add.at(lost, (missing.recipe, missing.problem), 1)
    measured = [
        one
        for place, one in enumerate(observations.recipes)
        if (cells.count[place, search] > 0).any()
    ]
    found = _measured(recipe, measured)
    others = tuple(one for one in against if one in measured and one != found)
    if not others:
        named = " or ".join(one.label for one in against if one != found) or "another recipe"
        raise FlipError(f"{found.label} can be compared with {named} once that was measured")
    places = [observations.recipes.index(one) for one in (found, *others)]

    def answers(place: int, problem: int) -> Answers:
        count = int(cells.count[place, problem])
        score = float(cells.score[place, problem]) / count if count else None
        return Answers(score, count, int(lost[place, problem]))

    asked = (cells.count + lost)[places].sum(axis=0) > 0
    problems = []
    for index in np.flatnonzero(search & asked):
        own, *rest = (answers(place, int(index)) for place in places)
        row = observations.problems[index]
        flips = tuple(_flip(one, own) for one in rest)
        problems.append(
            ProblemFlips(int(index), row.probe, row.id, row.stratum, own, tuple(rest), flips)
        )
    counts = tuple(_counted(problems, place) for place in range(len(others)))
    wanted = None if found == recipe else recipe
    return Flips(found, others, tuple(problems), counts, wanted)


def _measured(recipe: Recipe, measured: Sequence[Recipe]) -> Recipe:
    if recipe in measured:
        return recipe
    at = recipe.lambda_
    alike = [
        one
        for one in measured
        if at is not None and recipe.model_copy(update={"lambda_": one.lambda_}) == one
    ]
    if at is None or not alike:
        raise FlipError(f"{recipe.label} was not measured: name a row that mi-tui table shows")
    return min(alike, key=lambda one: abs((one.lambda_ or 0.0) - at))


def _flip(before: Answers, after: Answers) -> Flip:
    if before.solved is None or after.solved is None:
        return Flip.UNKNOWN
    if before.solved == after.solved:
        return Flip.ALWAYS if after.solved else Flip.NEVER
    return Flip.FIXED if after.solved else Flip.BROKEN


def _counted(problems: Sequence[ProblemFlips], place: int) -> tuple[FlipCounts, ...]:
    groups: dict[tuple[str | None, str | None], Counter[Flip]] = {(None, None): Counter()}
    for problem in problems:
        for group in ((None, None), (problem.probe, None), (problem.probe, problem.stratum)):
            groups.setdefault(group, Counter())[problem.flips[place]] += 1
    probes = [group for group in groups if group[0] is not None and group[1] is None]
    chosen: list[tuple[str | None, str | None]] = [(None, None)]
    for probe, _ in probes:
        strata = sorted((g for g in groups if g[0] == probe and g[1] is not None), key=str)
        chosen += [(probe, None)] if len(probes) > 1 else []
        chosen += strata if len(strata) > 1 else []
    return tuple(
        FlipCounts(*group, {flip: groups[group][flip] for flip in Flip}) for group in chosen
    )
