"""A replay of the search on measured surfaces: regret, violations, coverage.

    python -m benchmarks.replay --surface FILE.csv [--probe P] [--budget-tokens N] [--seeds 200]
    python -m benchmarks.replay --rollouts STUDY [--budget-tokens N] [--seeds 200]
        [--first-seed 0] [--processes 2] [--optuna-seeds 40] [--json]

Each study sees rollouts simulated from the surface, or drawn from those of a finished dense study
(its directory, or an .npz file of scripts/reference_sweep.py), never the surface itself. Regret is
in score points below the best λ that keeps the budget (for token objectives: in percent of the
choice's tokens); a violation is a recommended λ whose true mean breaks it. Every line of the
table draws problems of its own, the same for all methods. Lines are printed as they are found.
"""

import argparse
import json
import math
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay_limits import in_tokens, least_inside
from benchmarks.replay_methods import GRID, METHODS, ROLLOUTS
from benchmarks.replay_rollouts import ResampledProbe, read_rollouts
from benchmarks.replay_surface import SimulatedProbe, Surface, SurfaceError, read_surfaces
from mi_tui.analysis.results import Estimate
from mi_tui.plan.budget import Budget, parse_budget

PROBLEMS = 200
UNLIMITED_PROBLEMS = 40_000
PLACES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Trial:
    """How one simulated study ended. ``covered`` is about score, tokens and λ in turn."""

    regret: float
    violated: bool
    tokens: int
    rollouts: int
    covered: tuple[bool, bool, bool] | None
    lambda_: float


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table: a method on one surface and budget, averaged over seeds."""

    surface: str
    budget: str
    method: str
    seeds: float
    regret: float
    regret_error: float
    violations: float
    coverage_score: float | None
    coverage_tokens: float | None
    coverage_lambda: float | None
    tokens: float
    rollouts: float


def budgets_of(surface: Surface, confidence: float) -> list[Budget]:
    """Three token limits, evenly placed (in the logarithm) between shortest and longest."""
    low, high = math.log(surface.tokens.min()), math.log(surface.tokens.max())
    limits = [math.exp(low + place * (high - low)) for place in PLACES]
    return [parse_budget(f"tokens<={round(limit)}", confidence) for limit in limits]


def grid_cost(surface: Surface) -> float:
    """The tokens of the even grid of nine λ with sixteen rollouts each."""
    return float(ROLLOUTS * surface.tokens[[surface.at(x) for x in GRID]].sum())


def judge(surface: Surface, budget: Budget, lambda_: float) -> tuple[float, bool, float]:
    """Regret, whether the budget is broken, and the best λ, by the surface itself.

    Raises:
        SurfaceError: no λ of the surface keeps the budget.
    """
    keeps = least_inside(budget, surface.score, surface.tokens, float(surface.score[-1])) >= 0
    few = in_tokens(budget)
    if not keeps.any():
        raise SurfaceError(f"no λ of {surface.name} keeps {budget.spec}")
    worth = -np.log(surface.tokens) if few else surface.score
    best = int(np.where(keeps, worth, -np.inf).argmax())
    at = surface.at(lambda_)
    lost = max(float(worth[best] - worth[at]), 0.0)
    regret = 100 * (1 - math.exp(-lost) if few else lost)
    return regret, not bool(keeps[at]), float(surface.lambdas[best])


def run_trial(
    seed: int, *, surface: Surface, budget: Budget, method: str, tokens: float, problems: int
) -> Trial:
    """One simulated study; studies of one seed, surface and budget have the same problems."""
    line = zlib.crc32(f"{surface.name} {budget.spec}".encode())
    kind = ResampledProbe if surface.rollouts else SimulatedProbe
    probe = kind(surface, seed + 1000 * (line % 1_000_000), problems)
    outcome = METHODS[method](probe, budget, tokens)
    regret, violated, best = judge(surface, budget, outcome.lambda_)
    covered = None
    if outcome.score and outcome.tokens and outcome.lambda_interval:
        at = surface.at(outcome.lambda_)
        low, high = outcome.lambda_interval
        covered = (
            _holds(outcome.score, float(surface.score[at])),
            _holds(outcome.tokens, float(surface.tokens[at])),
            low - 0.005 <= best <= high + 0.005,
        )
    rollouts = len(probe.observations())
    return Trial(regret, violated, probe.tokens_spent, rollouts, covered, outcome.lambda_)


def _holds(interval: Estimate, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def summarise(surface: str, budget: str, method: str, trials: Sequence[Trial]) -> Result:
    """Average the trials of one line."""
    regrets = np.array([trial.regret for trial in trials])
    coverage: list[float | None] = [None] * 3
    if trials[0].covered is not None:
        coverage = list(np.array([trial.covered for trial in trials], dtype=float).mean(axis=0))
    return Result(
        surface=surface,
        budget=budget,
        method=method,
        seeds=len(trials),
        regret=float(regrets.mean()),
        regret_error=float(regrets.std() / math.sqrt(len(regrets))),
        violations=float(np.mean([trial.violated for trial in trials])),
        coverage_score=coverage[0],
        coverage_tokens=coverage[1],
        coverage_lambda=coverage[2],
        tokens=float(np.mean([trial.tokens for trial in trials])),
        rollouts=float(np.mean([trial.rollouts for trial in trials])),
    )


def overall(results: Sequence[Result]) -> list[Result]:
    """Each method averaged over surfaces and budgets, every line weighing the same."""
    found = []
    for method in dict.fromkeys(result.method for result in results):
        mine = [result for result in results if result.method == method]

        def mean(name: str, mine: list[Result] = mine) -> float | None:
            values = [getattr(result, name) for result in mine]
            return None if None in values else float(np.mean(values))

        names = [name for name in asdict(mine[0]) if name not in ("surface", "budget", "method")]
        values: dict[str, Any] = {name: mean(name) for name in names}
        error = math.sqrt(sum(result.regret_error**2 for result in mine)) / len(mine)
        values["regret_error"] = error
        found.append(Result("all", "all", method, **values))
    return found


HEAD = (
    "| surface | budget | method | seeds | regret | violations | covers score | tokens | λ "
    "| tokens spent | rollouts |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def table_line(found: Result) -> str:
    """A result as a line of a Markdown table under :data:`HEAD`."""

    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    cells = (
        found.surface,
        found.budget,
        found.method,
        f"{found.seeds:.0f}",
        f"{found.regret:.2f} ± {found.regret_error:.2f}",
        share(found.violations),
        share(found.coverage_score),
        share(found.coverage_tokens),
        share(found.coverage_lambda),
        f"{found.tokens:,.0f}",
        f"{found.rollouts:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; prints a table, or JSON with ``--json``."""
    options = _options(arguments)
    results: list[Result] = []
    shown = sys.stderr if options.json else sys.stdout
    try:
        surfaces = [s for path in options.surface for s in read_surfaces(path, options.probe)]
        surfaces += [read_rollouts(path) for path in options.rollouts]
        if not surfaces:
            raise SurfaceError("nothing to replay: give --surface or --rollouts")
        for found in _run(options, surfaces):
            if not results:
                print(HEAD, file=shown)
            print(table_line(found), file=shown, flush=True)
            results.append(found)
    except (SurfaceError, OSError, KeyError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    averages = overall(results)
    for found in averages:
        print(table_line(found), file=shown)
    if options.json:
        print(json.dumps([asdict(result) for result in [*results, *averages]], indent=1))
    return 0


def _run(options: argparse.Namespace, surfaces: list[Surface]) -> Iterator[Result]:
    """The lines of the table, one surface, budget and method after another."""
    unlimited = options.budget_tokens is not None and math.isinf(options.budget_tokens)
    problems = options.problems or (UNLIMITED_PROBLEMS if unlimited else PROBLEMS)
    methods = options.method or (["mi-tui"] if unlimited else list(METHODS))
    with ProcessPoolExecutor(options.processes) as pool:
        for surface in surfaces:
            given = [parse_budget(text, options.confidence) for text in options.budget]
            for budget in given or budgets_of(surface, options.confidence):
                for method in methods:
                    trial = partial(
                        run_trial,
                        surface=surface,
                        budget=budget,
                        method=method,
                        tokens=options.budget_tokens or grid_cost(surface),
                        problems=problems,
                    )
                    slow = method.startswith("optuna") and options.optuna_seeds
                    number = min(options.seeds, slow) if slow else options.seeds
                    seeds = range(options.first_seed, options.first_seed + number)
                    run = pool.map if options.processes > 1 else map
                    yield summarise(surface.name, budget.spec, method, list(run(trial, seeds)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    add = parser.add_argument
    add("--surface", type=Path, action="append", default=[], help="CSV; may be repeated")
    add("--rollouts", type=Path, action="append", default=[], help="study directory or .npz file")
    add("--probe", help="only this probe of the table")
    add(
        "--budget",
        action="append",
        default=[],
        help="as of mi-tui recommend, without p95; may be repeated",
    )
    add("--budget-tokens", type=float, help="tokens of a study, or inf (default: the even grid's)")
    add("--seeds", type=int, default=200, help="simulated studies per line")
    add("--first-seed", type=int, default=0, help="of the studies of a line (default: 0)")
    add("--method", action="append", choices=list(METHODS), help="only this; may be repeated")
    add("--problems", type=int, help=f"problems of the probe ({PROBLEMS})")
    add("--confidence", type=float, default=0.9, help="probability of keeping the budget")
    add("--optuna-seeds", type=int, help="fewer studies for Optuna's samplers, which are slow")
    add("--processes", type=int, default=1, help="studies simulated at a time")
    add("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
