"""A ledger of rollouts, stored and in flight, and the next ones of a recipe, paired across λ."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.design import Design, design_of
from mi_tui.plan.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PlannedRollout:
    """A rollout to generate: a recipe, the index of a problem, the index of a sample."""

    recipe: Recipe
    problem: int
    sample: int


Places = NDArray[np.int64]
"""Pairs of a problem and a sample index, shape (places, 2), in the order they are asked."""


class RolloutLedger:
    """What was asked already, stored or in flight, and what may be asked.

    Args:
        observations: everything stored.
        in_flight: what is handed out and not stored.
        dropped: recipes of which nothing more is asked.
        samples: the samples per problem of the probes, by name, that have a number of their own.
    """

    def __init__(
        self,
        observations: Observations,
        in_flight: Sequence[PlannedRollout],
        dropped: Iterable[Recipe],
        samples: Mapping[str, int] | None = None,
    ) -> None:
        problems = observations.problems
        self._own_samples = [(samples or {}).get(problem.probe) for problem in problems]
        self._dropped = set(dropped)
        self._place = {recipe: place for place, recipe in enumerate(observations.recipes)}
        for rollout in in_flight:
            self._place.setdefault(rollout.recipe, len(self._place))
        flying = np.array(
            [
                (self._place[rollout.recipe], rollout.problem, rollout.sample)
                for rollout in in_flight
            ],
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
        self.held_out_asked = int(self._counts[:, self.held_out_problems].sum())
        self.search_in_flight = any(not problems[rollout.problem].held_out for rollout in in_flight)

    def is_wanted(self, recipe: Recipe) -> bool:
        """Whether the user has not dropped it."""
        return recipe not in self._dropped

    def wanted(self, recipes: Iterable[Recipe]) -> list[Recipe]:
        """The recipes that were not dropped, each once."""
        return [recipe for recipe in dict.fromkeys(recipes) if recipe not in self._dropped]

    def places(self, samples: int, *, held_out: bool = False) -> Places:
        """So many samples of every problem, or as many as its probe wants of its own.

        One sample of every problem comes before the second sample of any.
        """
        problems = self.held_out_problems if held_out else self.search_problems
        wanted = [self._own_samples[problem] or samples for problem in problems]
        pairs = [
            (problem, sample)
            for sample in range(max(wanted, default=0))
            for problem, count in zip(problems, wanted, strict=True)
            if sample < count
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def more_places(self, samples: int, extra: int) -> Places:
        """The places of :meth:`places`, then so many further samples of every search problem."""
        pairs = self.places(samples)
        return np.concatenate(
            [pairs]
            + [
                np.array(
                    [(p, (self._own_samples[p] or samples) + more) for p in self.search_problems],
                    dtype=np.int64,
                ).reshape(-1, 2)
                for more in range(extra)
            ]
        )

    def missing(
        self, recipes: Sequence[Recipe], places: Places, at_most: int
    ) -> list[PlannedRollout]:
        """The first of these places that are still missing for any of the recipes.

        All recipes are asked a problem before the next problem is, so that they stay comparable
        at any moment.
        """
        if not len(places) or not recipes:
            return []
        problem, sample = places[:, 0], places[:, 1]
        missing = np.column_stack([~self._has(recipe, problem, sample) for recipe in recipes])
        found = np.argwhere(missing)
        if len(found) > at_most:
            # Recipes stay together on the last problem, even where that exceeds the size a bit.
            found = found[found[:, 0] <= found[at_most - 1, 0]]
        return [
            PlannedRollout(recipes[which], int(problem[place]), int(sample[place]))
            for place, which in found.tolist()
        ]

    def least_asked(
        self, wanted: Sequence[tuple[Recipe, int]], *, apart: bool = False
    ) -> list[PlannedRollout]:
        """So many rollouts of each recipe, on the problems asked least so far.

        Args:
            wanted: the recipes, and how many rollouts of each.
            apart: other problems for each recipe, as far as there are, so that as many as possible
                are asked; by default the same for all, so that recipes can be compared.
        """
        total = self._counts.sum(axis=0).tolist()
        found: list[PlannedRollout] = []
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
                total[problem] += apart
                found.append(PlannedRollout(recipe, problem, sample))
                heapq.heappush(queue, (times + 1, asked, place, problem))
        return found

    def design(self, like: Recipe, *, fixed: bool = False) -> Design:
        """How often each λ of a recipe's family was asked on search problems.

        ``fixed`` says that the answer is about these problems themselves.
        """
        search = np.array(self.search_problems, dtype=np.int64)
        return design_of(tuple(self._place), self._counts[:, search], like, fixed=fixed)

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
