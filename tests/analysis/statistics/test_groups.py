"""Results by group: each is the results table of a study that asked these problems alone."""

from dataclasses import replace

import numpy as np

from mi_tui.analysis.statistics.groups import group_results
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.plan.recipe import interpolation
from tests.analysis.synthetic import World


def test_a_group_is_the_table_of_its_problems_alone() -> None:
    world = World(problems=24, held_out=4, strata=3, seed=5)
    for value in (0.0, 0.5, 1.0):
        for problem in range(24):
            for sample in range(3):
                world.ask(interpolation(value), problem, sample)
    every = world.observations()
    of_two = tuple(
        replace(problem, probe="p" if index % 2 else "q")
        for index, problem in enumerate(every.problems)
    )
    every = replace(every, problems=of_two)
    found = group_results(every)
    names = [(one.probe, one.stratum) for one in found]
    assert len(names) == len(set(names)) == 8
    assert next(one for one in found if one.probe == "q").stratum is None
    for one in found:
        inside = [
            index
            for index, problem in enumerate(every.problems)
            if problem.probe == one.probe
            and not problem.held_out
            and one.stratum in (None, problem.stratum)
        ]
        assert one.problems == len(inside)
        alone = every.where(np.isin(every.problem, inside))
        assert one.rows == summarise(alone)
        by_hand = np.mean(
            [alone.score[(alone.problem == p) & (alone.recipe == 1)].mean() for p in inside]
        )
        assert abs(one.rows[1].score.value - by_hand) < 1e-12
    assert [(one.probe, one.stratum) for one in group_results(every, strata=False)] == [
        ("q", None),
        ("p", None),
    ]
