"""A recommendation and the next round of a study of very many λ: processor time and memory.

``python -m benchmarks.many_lambdas [--lambdas 1001] [--problems 100] [--share 0.9]``; a part of
the problems was asked at each λ, so that each problem was asked at other λ, the slowest case.
"""

import argparse
import os
import resource
import sys
import time
from dataclasses import replace

import numpy as np

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.search.limits import Spent
from mi_tui.analysis.search.policy import next_batch
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.search import Search
from tests.analysis.statistics.test_curve_of_many_lambdas import observations
from tests.analysis.synthetic import preset

_COLUMNS = ("recipe", "problem", "sample", "score", "tokens", "thinking", "truncated", "answer")


def asked_in_part(found: Observations, share: float) -> Observations:
    """Each rollout kept with this probability."""
    kept = np.random.default_rng(0).random(len(found)) < share
    return replace(found, **{name: getattr(found, name)[kept] for name in _COLUMNS})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the statistics of very many λ.")
    parser.add_argument("--lambdas", type=int, default=1001)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.9, help="of the problems asked at each λ")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    whole = observations(options.lambdas, options.problems)
    found = asked_in_part(whole, options.share)
    grid = tuple(recipe.lambda_ or 0.0 for recipe in found.recipes)
    asked = preset(search=Search(grid=grid, samples=1))
    for name, call in (
        ("recommend", lambda: recommend(found, parse_budget("tokens<=120"))),
        ("plan the missing of the grid", lambda: next_batch(found, asked, spent=Spent())),
        ("plan behind the grid", lambda: next_batch(whole, asked, spent=Spent())),
    ):
        call()
        began, clock = time.process_time(), time.monotonic()
        call()
        used, passed = time.process_time() - began, time.monotonic() - clock
        print(f"{name}: {used:.2f} s of processor time, {passed:.2f} s")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


if __name__ == "__main__":
    main()
