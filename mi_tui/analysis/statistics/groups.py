"""Results by group: the measures of each recipe over one probe, or one stratum of it."""

from dataclasses import dataclass

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.results import RecipeSummary
from mi_tui.analysis.statistics.metrics import summarise
from mi_tui.plan.budget import About


@dataclass(frozen=True, slots=True)
class GroupResults:
    """The rows of the results table over a part of the problems.

    ``stratum`` is ``None`` for all of a probe; ``problems`` counts its search problems.
    """

    probe: str
    stratum: str | None
    problems: int
    rows: tuple[RecipeSummary, ...]


def group_results(
    observations: Observations,
    latency: Latency | None = None,
    *,
    strata: bool = True,
    about: About = "new-problems",
) -> tuple[GroupResults, ...]:
    """The results of each probe and, behind it, of each of its strata where it has several.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        latency: the speed of the merged model; without it the rows have no seconds.
        strata: whether strata are told apart.
        about: what the intervals speak of, as in :func:`summarise`.
    """
    problems = observations.problems
    search = [problem for problem in problems if not problem.held_out]
    found: list[GroupResults] = []
    for probe in dict.fromkeys(problem.probe for problem in search):
        names = sorted({problem.stratum for problem in search if problem.probe == probe})
        for stratum in (None, *(names if strata and len(names) > 1 else ())):
            inside = np.array(
                [
                    not one.held_out
                    and one.probe == probe
                    and (stratum is None or one.stratum == stratum)
                    for one in problems
                ]
            )
            of_group = observations.where(inside[observations.problem])
            rows = summarise(of_group, latency=latency, about=about)
            found.append(GroupResults(probe, stratum, int(inside.sum()), rows))
    return tuple(found)
