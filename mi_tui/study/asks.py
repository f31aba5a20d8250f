"""Which problems and samples a recipe is asked next, paired across λ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mi_tui.plan.recipe import Recipe
from mi_tui.study.cells import Floats
from mi_tui.study.curve import family
from mi_tui.study.observations import Observations


@dataclass(frozen=True, slots=True)
class Ask:
    """One rollout wanted: a recipe, the index of a problem, the index of a sample."""

    recipe: Recipe
    problem: int
    sample: int


@dataclass(frozen=True, slots=True)
class Design:
    """How often each λ of the family was asked.

    ``lambdas``, ``rollouts`` and ``problems`` (distinct ones) have shape (recipes,);
    ``available`` is the number of search problems.
    """

    lambdas: Floats
    rollouts: Floats
    problems: Floats
    available: int


class AskBook:
    """What was asked already, stored or in flight, and what may be asked.

    Args:
        observations: everything stored.
        in_flight: what is handed out and not stored.
        dropped: recipes of which nothing more is asked.
    """

    def __init__(
        self, observations: Observations, in_flight: Sequence[Ask], dropped: Iterable[Recipe]
    ) -> None:
        self._dropped = {recipe.key for recipe in dropped}
        self._recipes = {recipe.key: recipe for recipe in observations.recipes}
        self._taken: dict[tuple[str, int], set[int]] = {}
        self._asked: dict[str, Floats] = {}
        problems = observations.problems
        self.in_flight = len(in_flight)
        self.asked = len(observations) + len(in_flight)
        self._count = len(problems)
        keys = [recipe.key for recipe in observations.recipes]
        rows = zip(
            observations.recipe.tolist(),
            observations.problem.tolist(),
            observations.sample.tolist(),
            strict=True,
        )
        for recipe, problem, sample in rows:
            self._take(keys[recipe], problem, sample)
        for ask in in_flight:
            self._recipes.setdefault(ask.recipe.key, ask.recipe)
            self._take(ask.recipe.key, ask.problem, ask.sample)
        order = _interleaved(observations)
        self.search_problems = [p for p in order if not problems[p].held_out]
        self.held_out_problems = [p for p in order if problems[p].held_out]
        self.search_in_flight = any(not problems[ask.problem].held_out for ask in in_flight)

    def is_wanted(self, recipe: Recipe) -> bool:
        """Whether the user has not dropped it."""
        return recipe.key not in self._dropped

    def wanted(self, recipes: Iterable[Recipe]) -> list[Recipe]:
        """The recipes that were not dropped, each once."""
        return [r for r in dict.fromkeys(recipes) if r.key not in self._dropped]

    def first(
        self, recipes: Sequence[Recipe], each: int, at_most: int, *, held_out: bool = False
    ) -> list[Ask]:
        """The first asks still missing until every recipe has its first ``each`` rollouts.

        One sample of every problem comes before the second sample of any, and all recipes are
        asked a problem before the next problem is, so that they stay comparable at any moment.
        """
        problems = self.held_out_problems if held_out else self.search_problems
        found: list[Ask] = []
        for place in range(each if problems else 0):
            sample, problem = place // len(problems), problems[place % len(problems)]
            for recipe in recipes:
                if sample not in self._taken.get((recipe.key, problem), ()):
                    found.append(Ask(recipe, problem, sample))
            if len(found) >= at_most:
                break
        return found[:at_most] if len(found) > at_most + len(recipes) else found

    def spread(self, wanted: Sequence[tuple[Recipe, int]]) -> list[Ask]:
        """So many asks of each recipe, on the problems asked least so far, the same for all."""
        total = np.zeros(self._count)
        for counts in self._asked.values():
            total += counts
        found: list[Ask] = []
        place = {problem: index for index, problem in enumerate(self.search_problems)}
        for recipe, count in wanted:
            own = self._asked.get(recipe.key, np.zeros(self._count)).copy()
            taken = {p: set(self._taken.get((recipe.key, p), ())) for p in self.search_problems}
            for _ in range(count):
                problem = min(self.search_problems, key=lambda p: (own[p], total[p], place[p]))
                sample = next(s for s in range(len(taken[problem]) + 1) if s not in taken[problem])
                taken[problem].add(sample)
                own[problem] += 1
                found.append(Ask(recipe, problem, sample))
        return found

    def design(self) -> Design:
        """How often each λ of the largest family was asked on search problems."""
        recipes = tuple(self._recipes.values())
        members = [recipes[i] for i in family(recipes)]
        search = np.array(self.search_problems, dtype=np.int64)
        none = np.zeros(self._count)
        counts = np.array([self._asked.get(r.key, none)[search] for r in members])
        counts = counts.reshape(len(members), len(search))
        return Design(
            np.array([r.lambda_ or 0.0 for r in members]),
            counts.sum(axis=1),
            (counts > 0).sum(axis=1).astype(np.float64),
            len(search),
        )

    def _take(self, key: str, problem: int, sample: int) -> None:
        self._taken.setdefault((key, problem), set()).add(sample)
        counts = self._asked.get(key)
        if counts is None:
            counts = self._asked[key] = np.zeros(self._count)
        counts[problem] += 1


def _interleaved(observations: Observations) -> list[int]:
    """The problems with probes and strata dealt out evenly, so that any first few are typical."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, problem in enumerate(observations.problems):
        groups.setdefault((problem.probe, problem.stratum), []).append(index)
    placed = [
        ((place + 0.5) / len(members), number, index)
        for number, members in enumerate(groups.values())
        for place, index in enumerate(members)
    ]
    return [index for _, _, index in sorted(placed)]
