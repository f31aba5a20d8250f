"""Regret of two knobs against one λ at equal tokens, on simulated surfaces over both.

    python -m benchmarks.two_knobs [--surface ridge] [--seeds 20] [--tokens 600000] [--json]

Two made-up surfaces: on ``ridge`` the FFN brings thinking and score and attention brings length, as
published for Qwen3-4B-2507 (arXiv 2608.25583 has an FFN sweep with attention at 0.5 above every
uniform λ from 0.4 on); on ``even`` both do the same, and two knobs can gain nothing. A response
thinks or not; problems differ in difficulty and in length. Regret is in score points below the best
point of the plane that keeps the limit; a violation is a choice whose true mean breaks it.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.recommendation.recommend import recommend
from mi_tui.analysis.search.policy import PlannedRollout, Spent, Stop, next_batch
from mi_tui.analysis.search.two_knobs import knob_result, next_knob_batch, uniform_part
from mi_tui.plan.budget import parse_budget
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.search import Search
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe

PROBLEMS, HELD_OUT = 200, 4
"""Problems, and of how many one is held out."""

DIFFICULTY_SD, LENGTH_SD, WITHIN_SD = 1.2, 0.6, 0.3
CAP = 8000
LIMIT = 700
"""Mean tokens of a response at most."""

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Plane:
    """A surface: how much of thinking and score, and of length, the FFN brings."""

    name: str
    ffn_of_score: float
    ffn_of_length: float

    def response(self, attention: float, ffn: float) -> tuple[float, tuple[float, float], float]:
        """The think ratio, both regimes' logits of a right answer, and the length's exponent."""
        level = (1 - self.ffn_of_score) * attention + self.ffn_of_score * ffn
        length = (1 - self.ffn_of_length) * attention + self.ffn_of_length * ffn
        ratio = 1 / (1 + math.exp(-(level - 0.55) / 0.05))
        return ratio, (-1.0 + 0.8 * level, 0.2 + 1.2 * level), length

    def tokens(self, thinking: bool, length: float) -> float:
        """The median length of a response in a regime."""
        return 700 * math.exp(0.9 * length) if thinking else 150 * math.exp(0.6 * length)

    def truth(self, attention: float, ffn: float) -> tuple[float, float]:
        """Mean score and mean tokens over all problems."""
        ratio, logits, length = self.response(attention, ffn)
        right = 1 / (1 + np.exp(-(np.array(logits)[:, None] + DIFFICULTY_SD * _NODES)))
        spread = math.exp((LENGTH_SD**2 + WITHIN_SD**2) / 2)
        shares = np.array([1 - ratio, ratio])
        tokens = [self.tokens(thinks, length) * spread for thinks in (False, True)]
        return float(shares @ (right @ _WEIGHTS)), float(shares @ np.array(tokens))


PLANES = {plane.name: plane for plane in (Plane("ridge", 0.8, 0.3), Plane("even", 0.5, 0.5))}


@dataclass
class Simulated:
    """A probe on a plane, and what has been asked of it."""

    plane: Plane
    seed: int
    tokens_spent: int = 0
    _recipes: dict[Recipe, int] = field(default_factory=dict)
    _log: list[tuple[int, int, int, float, int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._ease = DIFFICULTY_SD * self._random.standard_normal(PROBLEMS)
        self._length = LENGTH_SD * self._random.standard_normal(PROBLEMS)

    def answer(self, asks: Sequence[PlannedRollout]) -> None:
        """Draw the rollouts of a batch."""
        for ask in asks:
            ratio, logits, length = self.plane.response(*(ask.recipe.knobs or (0.0, 0.0)))
            thinks = bool(self._random.random() < ratio)
            logit = logits[thinks] + self._ease[ask.problem]
            right = bool(self._random.random() < 1 / (1 + math.exp(-logit)))
            noise = self._length[ask.problem] + WITHIN_SD * self._random.standard_normal()
            tokens = min(int(self.plane.tokens(thinks, length) * math.exp(noise)), CAP)
            self.tokens_spent += tokens
            place = self._recipes.setdefault(ask.recipe, len(self._recipes))
            self._log.append((place, ask.problem, ask.sample, float(right), tokens, thinks))

    def observations(self) -> Observations:
        """Everything asked so far."""
        problems = tuple(
            ProblemRow("simulated", str(i), "", 1 / PROBLEMS, CAP, i % HELD_OUT == HELD_OUT - 1)
            for i in range(PROBLEMS)
        )
        kinds = ("int64", "int64", "int64", "float64", "int64", "bool")
        columns = [
            np.array([row[at] for row in self._log], dtype=kind) for at, kind in enumerate(kinds)
        ]
        cut = columns[4] >= CAP
        nothing = np.full(len(self._log), -1, dtype=np.int64)
        recipe, problem, sample, score, tokens, thinking = columns
        recipes = tuple(self._recipes)
        return Observations(
            recipes, problems, recipe, problem, sample, score, tokens, thinking, cut, nothing
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What a method would use: both λ; ``shown`` says that it was shown on held-out problems."""

    knobs: tuple[float, float]
    tokens: int
    shown: bool = False


def one_lambda(probe: Simulated, tokens: float) -> dict[str, Choice]:
    """All tokens for the search over the uniform λ."""
    preset = _preset(probe.seed, tokens, two_knobs=False)
    _search(probe, preset)
    seen = probe.observations()
    found = recommend(seen, preset.budget, seed=preset.search.seed, tolerance=0.005)
    return {"one λ": Choice((found.lambda_, found.lambda_), probe.tokens_spent)}


def two_knobs(probe: Simulated, tokens: float) -> dict[str, Choice]:
    """The same tokens for the uniform λ and then two knobs.

    The point is used where it is shown to beat the uniform front, or wherever it promises to.
    """
    preset = _preset(probe.seed, tokens, two_knobs=True)
    _search(probe, preset)
    found = knob_result(probe.observations(), preset)
    uniform, point = found.uniform.knobs, found.recipe.knobs if found.recipe else None
    assert uniform is not None
    spent = probe.tokens_spent
    return {
        "two knobs, where shown": Choice(
            point if point and found.beats else uniform, spent, found.beats
        ),
        "two knobs, where promising": Choice(point or uniform, spent, found.beats),
    }


METHODS: tuple[Callable[[Simulated, float], dict[str, Choice]], ...] = (one_lambda, two_knobs)


def _preset(seed: int, tokens: float, *, two_knobs: bool) -> Preset:
    return Preset(
        title="two knobs",
        pair=Pair(instruct="simulated", thinking="simulated"),
        probes=(ArithmeticProbe(kind="arithmetic"),),
        budget=parse_budget(f"tokens<={LIMIT}"),
        search=Search(
            max_tokens=int(tokens), samples=1, tolerance=0.005, seed=seed, two_knobs=two_knobs
        ),
    )


def _search(probe: Simulated, preset: Preset) -> None:
    while True:
        seen = probe.observations()
        spent = Spent(len(seen), probe.tokens_spent, 0.0)
        # One λ goes on to the limit, even where its answer is settled.
        step = next_batch(
            seen,
            uniform_part(preset),
            spent=spent,
            size=64,
            to_the_limit=not preset.search.two_knobs,
        )
        if isinstance(step, Stop) and preset.search.two_knobs:
            step = next_knob_batch(
                seen, preset, spent=spent, in_flight=(), size=128, latency=None, uniform=step
            )
        if isinstance(step, Stop):
            return
        probe.answer(step.rollouts)


def best_of(plane: Plane) -> tuple[float, float]:
    """The true score of the best point, and of the best uniform λ, that keep the limit."""
    steps = np.linspace(0, 1, 51)
    points = [plane.truth(a, f) for a in steps for f in steps]
    uniform = [plane.truth(x, x) for x in np.linspace(0, 1, 101)]
    best, alone = (
        max(score for score, tokens in group if tokens <= LIMIT) for group in (points, uniform)
    )
    return best, alone


def trial(plane: Plane, seed: int, tokens: float) -> dict[str, tuple[float, bool, bool, int]]:
    """Regret, violation, shown and tokens of each method."""
    best, _ = best_of(plane)
    found = {}
    for method in METHODS:
        for name, choice in method(Simulated(plane, seed), tokens).items():
            score, length = plane.truth(*choice.knobs)
            regret = 100 * max(best - score, 0.0)
            found[name] = (regret, length > LIMIT, choice.shown, choice.tokens)
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """A method on a surface, averaged over seeds."""

    surface: str
    method: str
    seeds: int
    regret: float
    error: float
    violations: float
    shown: float
    tokens: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; prints a table, or JSON with ``--json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_knobs", description=__doc__)
    parser.add_argument("--surface", choices=list(PLANES), action="append")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tokens", type=float, default=600_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    lines: list[Line] = []
    for name in options.surface or list(PLANES):
        plane = PLANES[name]
        best, alone = best_of(plane)
        print(f"{name}: best {best:.3f}, best uniform {alone:.3f}", file=sys.stderr, flush=True)
        trials = []
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            trials.append(trial(plane, seed, options.tokens))
            print(f"{name} {seed}: {trials[-1]}", file=sys.stderr, flush=True)
        for method in trials[0]:
            table = np.array([one[method] for one in trials], dtype=np.float64)
            regret, violations, shown, tokens = table.mean(axis=0)
            error = float(table[:, 0].std() / math.sqrt(len(table)))
            lines.append(
                Line(
                    name,
                    method,
                    len(table),
                    float(regret),
                    error,
                    float(violations),
                    float(shown),
                    float(tokens),
                )
            )
    if options.json:
        print(json.dumps([asdict(line) for line in lines], indent=1))
        return 0
    print("| surface | method | seeds | regret | violations | shown | tokens |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for line in lines:
        print(
            f"| {line.surface} | {line.method} | {line.seeds} "
            f"| {line.regret:.2f} ± {line.error:.2f} | {line.violations:.0%} "
            f"| {line.shown:.0%} | {line.tokens:,.0f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
