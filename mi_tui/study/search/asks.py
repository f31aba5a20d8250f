"""Which problems and samples a recipe is asked next, paired across λ."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.plan.recipe import Recipe
from mi_tui.study.observations import Observations
from mi_tui.study.recommendation.design import Design, design_of


@dataclass(frozen=True, slots=True)
class Ask:
    """One rollout wanted: a recipe, the index of a problem, the index of a sample."""

    recipe: Recipe
    problem: int
    sample: int


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
        problems = observations.problems
        self._dropped = set(dropped)
        self._place = {recipe: place for place, recipe in enumerate(observations.recipes)}
        for ask in in_flight:
            self._place.setdefault(ask.recipe, len(self._place))
        flying = np.array(
            [(self._place[ask.recipe], ask.problem, ask.sample) for ask in in_flight],
            dtype=np.int64,
        ).reshape(-1, 3)
        recipe = np.concatenate([observations.recipe, flying[:, 0]])
        problem = np.concatenate([observations.problem, flying[:, 1]])
        sample = np.concatenate([observations.sample, flying[:, 2]])
        shape = (len(self._place), len(problems), int(sample.max(initial=0)) + 1)
        self._taken = np.zeros(shape, dtype=bool)
        self._taken[recipe, problem, sample] = True
        self._counts = self._taken.sum(axis=2)
        self.in_flight = len(in_flight)
        self.asked = len(observations) + len(in_flight)
        order = _interleaved(observations)
        self.search_problems = [p for p in order if not problems[p].held_out]
        self.held_out_problems = [p for p in order if problems[p].held_out]
        self.search_in_flight = any(not problems[ask.problem].held_out for ask in in_flight)

    def is_wanted(self, recipe: Recipe) -> bool:
        """Whether the user has not dropped it."""
        return recipe not in self._dropped

    def wanted(self, recipes: Iterable[Recipe]) -> list[Recipe]:
        """The recipes that were not dropped, each once."""
        return [recipe for recipe in dict.fromkeys(recipes) if recipe not in self._dropped]

    def first(
        self, recipes: Sequence[Recipe], each: int, at_most: int, *, held_out: bool = False
    ) -> list[Ask]:
        """The first asks still missing until every recipe has its first ``each`` rollouts.

        One sample of every problem comes before the second sample of any, and all recipes are
        asked a problem before the next problem is, so that they stay comparable at any moment.
        """
        problems = np.array(self.held_out_problems if held_out else self.search_problems)
        if not len(problems) or not recipes or each < 1:
            return []
        places = np.arange(each)
        sample, problem = places // len(problems), problems[places % len(problems)]
        missing = np.column_stack([~self._has(recipe, problem, sample) for recipe in recipes])
        found = np.argwhere(missing)
        if len(found) > at_most:
            # Recipes stay together on the last problem, even where that exceeds the size a bit.
            found = found[found[:, 0] <= found[at_most - 1, 0]]
        return [
            Ask(recipes[which], int(problem[place]), int(sample[place]))
            for place, which in found.tolist()
        ]

    def spread(self, wanted: Sequence[tuple[Recipe, int]]) -> list[Ask]:
        """So many asks of each recipe, on the problems asked least so far, the same for all."""
        total = self._counts.sum(axis=0).tolist()
        found: list[Ask] = []
        for recipe, count in wanted:
            own = self._own(recipe)
            queue = [
                (int(own[problem]), total[problem], place, problem)
                for place, problem in enumerate(self.search_problems)
            ]
            heapq.heapify(queue)
            fresh: dict[int, set[int]] = {}
            for _ in range(count if queue else 0):
                times, asked, place, problem = heapq.heappop(queue)
                mine = fresh.setdefault(problem, set())
                sample = self._next_sample(recipe, problem, mine)
                mine.add(sample)
                found.append(Ask(recipe, problem, sample))
                heapq.heappush(queue, (times + 1, asked, place, problem))
        return found

    def design(self, like: Recipe) -> Design:
        """How often each λ of a recipe's family was asked on search problems."""
        search = np.array(self.search_problems, dtype=np.int64)
        return design_of(tuple(self._place), self._counts[:, search], like)

    def _own(self, recipe: Recipe) -> NDArray[np.int64]:
        place = self._place.get(recipe)
        if place is None:
            return np.zeros(self._counts.shape[1], dtype=np.int64)
        return np.asarray(self._counts[place], dtype=np.int64)

    def _has(
        self, recipe: Recipe, problem: NDArray[np.int64], sample: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        place = self._place.get(recipe)
        known = sample < self._taken.shape[2]
        if place is None:
            return np.zeros(len(problem), dtype=bool)
        taken = self._taken[place, problem, np.where(known, sample, 0)]
        return np.asarray(known & taken, dtype=bool)

    def _next_sample(self, recipe: Recipe, problem: int, fresh: set[int]) -> int:
        """The lowest sample index that is neither taken nor among the fresh ones."""
        place = self._place.get(recipe)
        taken = self._taken[place, problem].tolist() if place is not None else []
        sample = 0
        while sample in fresh or (sample < len(taken) and taken[sample]):
            sample += 1
        return sample


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
