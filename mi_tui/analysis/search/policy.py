"""The search policy: the next batch of asks, a pure function of what is stored.

Phases: the ends and a coarse grid; rows of ablations and of the user; then whatever λ is
expected to improve this decision most per token; then the winner and its nearest rival on the
held-out problems.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.held_out import rival_point
from mi_tui.analysis.recommendation.knowledge_gradient import next_lambdas
from mi_tui.analysis.recommendation.verdict import Certainty, Verdict, answerable, judge
from mi_tui.analysis.search.limits import Limits, Spent
from mi_tui.analysis.search.rollout_ledger import PlannedRollout, RolloutLedger
from mi_tui.analysis.statistics.curve import CurveError
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe

__all__ = ["Batch", "PlannedRollout", "Spent", "Stop", "next_batch"]

_WHOLE_GRID_SHARE = 0.45
_COARSE_SHARE = 0.10
_CONFIRM_SHARE = 0.12
_FEWEST_TO_CONFIRM = 24
_FIRST_PROBLEMS = 4
_MOST_SAMPLES = 8
_REASONS = {
    Certainty.WITHIN_TOLERANCE: "the expected loss is within the tolerance",
    Certainty.NO_MORE_TO_LEARN: "more rollouts on these problems would hardly improve the answer",
    Certainty.INFEASIBLE: "no λ meets the limit",
    Certainty.FLOOR: "hardly any problem is solved at any λ: choose an easier probe",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rollouts to generate next.

    ``rollouts`` is empty when what is in flight must be known first. ``phase`` names in a few words
    what they are for; ``planned`` is the number of rollouts the study is now expected to take.
    """

    rollouts: tuple[PlannedRollout, ...]
    phase: str
    planned: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more is worth asking. ``settled``: the decision is as certain as was wanted."""

    reason: str
    settled: bool


def next_batch(
    observations: Observations,
    preset: Preset,
    *,
    spent: Spent,
    in_flight: Sequence[PlannedRollout] = (),
    size: int = 64,
    added: Sequence[Recipe] = (),
    dropped: Sequence[Recipe] = (),
    more: Mapping[str, int] | None = None,
    latency: Latency | None = None,
    to_the_limit: bool = False,
) -> Batch | Stop:
    """Decide what to generate next.

    Args:
        observations: everything stored.
        preset: what the study was asked to do, with the budget as it is now.
        spent: what all stored rollouts have cost.
        in_flight: rollouts that were handed out and are not stored yet.
        size: about how many rollouts keep the engine busy.
        added: rows the user added; they are evaluated like the preset's own rows.
        dropped: rows the user no longer wants; nothing more is asked of them.
        more: further samples per problem the user wants, by :attr:`Recipe.key`.
        latency: the speed of the merged model, for a budget in seconds.
        to_the_limit: go on to the limit, even where the answer is settled.

    Returns:
        The rollouts, or why the study is over.
    """
    own = {probe.name or probe.kind: probe.samples for probe in preset.probes if probe.samples}
    ledger = RolloutLedger(observations, in_flight, dropped, own)
    limits = Limits.of(preset.search, spent, observations, len(in_flight))
    if limits.exhausted:
        return Stop(limits.exhausted, _settled(observations, preset, latency))
    step = _Step(observations, preset, ledger, limits, size, latency, to_the_limit)
    return (
        step.coarse()
        or step.rows(added, more or {})
        or step.first_answers()
        or step.refine()
        or step.confirm()
        or step.stop()
    )


class _Step:
    """One call of :func:`next_batch`; the phases in turn say whether they have work."""

    def __init__(
        self,
        observations: Observations,
        preset: Preset,
        ledger: RolloutLedger,
        limits: Limits,
        size: int,
        latency: Latency | None,
        to_the_limit: bool,
    ) -> None:
        self._observations = observations
        self._preset = preset
        self._ledger = ledger
        self._limits = limits
        self._size = size
        self._latency = latency
        self._to_the_limit = to_the_limit
        self._budget = answerable(preset.budget, latency)
        self._reason = ""
        self._settled = False

    def coarse(self) -> Batch | None:
        """The ends and the coarse grid, the same problems and samples under every λ.

        Where that would take most of what can be afforded, the grid gets a small share of it.
        """
        search = self._preset.search
        recipes = self._ledger.wanted([self._preset.recipe(lambda_) for lambda_ in search.grid])
        if not recipes:
            return None
        places = self._ledger.places(search.samples)
        wanted = len(places)
        share = self._limits.each(recipes, self._observations)
        if share is not None and wanted > _WHOLE_GRID_SHARE * share:
            wanted = min(wanted, max(int(_COARSE_SHARE * share), _FIRST_PROBLEMS))
        rollouts = self._ledger.missing(recipes, places[:wanted], self._size)
        phase = "coarse grid"
        if rollouts and not len(self._observations):
            phase = "ends and coarse grid"
        return self._batch(rollouts, phase)

    def rows(self, added: Sequence[Recipe], more: Mapping[str, int]) -> Batch | None:
        """The rows of the preset and of the user, each on all search problems.

        As many rows go into a batch as it takes to fill it: they can share the engine's passes.
        """
        samples = self._preset.search.samples
        places = self._ledger.places(samples)
        fresh: list[PlannedRollout] = []
        for recipe in self._ledger.wanted([*self._preset.recipes, *added]):
            fresh += self._ledger.missing([recipe], places, self._size - len(fresh))
            if len(fresh) >= self._size:
                break
        if fresh:
            label, last = fresh[0].recipe.label, fresh[-1].recipe.label
            return self._batch(fresh, f"row {label}" + (f" to {last}" if last != label else ""))
        for recipe in self._ledger.wanted(self._observations.recipes):
            extra = more.get(recipe.key, 0)
            if extra:
                rollouts = self._ledger.missing(
                    [recipe], self._ledger.more_places(samples, extra), self._size
                )
                if rollouts:
                    return self._batch(rollouts, f"more of {recipe.label}")
        return None

    def first_answers(self) -> Batch | Stop | None:
        """A decision needs something to decide from: wait, where all is asked and none is back."""
        if len(self._observations):
            return None
        if self._ledger.in_flight:
            return Batch((), "waiting for the first responses", self._ledger.asked)
        return Stop("there is nothing to ask", False)

    def refine(self) -> Batch | None:
        """The λ that promise most for the decision per token, on the problems asked least."""
        search = self._preset.search
        left = self._limits.left_before(self._reserve)
        if not search.refine:
            self._reason = "the grid is done"
            return self._evenly(left) if self._to_the_limit else None
        if left is not None and left < (1 if self._to_the_limit else self._size / 4):
            self._reason = self._limits.nearest
            return None
        verdict = self._judge(fine=False)
        if verdict.settled and not self._to_the_limit:
            verdict = self._judge(fine=True)
            if verdict.settled:
                self._reason, self._settled = _REASONS[verdict.certainty], True
                return None
        decision = verdict.decision
        room = _MOST_SAMPLES * search.samples * len(self._ledger.search_problems)
        horizon = self._ledger.asked if left is None else left
        chosen = next_lambdas(
            verdict.curves,
            decision,
            self._budget,
            self._ledger.design(
                self._preset.recipe(0.0), fixed=self._budget.about == "these-problems"
            ),
            size=self._size if left is None else min(self._size, left),
            horizon=float(self._observations.tokens.mean()) * horizon,
            room=room,
        )
        wanted = [(self._preset.recipe(lambda_), count) for lambda_, count in chosen]
        rollouts = self._ledger.least_asked(
            [(r, n) for r, n in wanted if self._ledger.is_wanted(r)], apart=True
        )
        if not rollouts:
            self._reason = "every problem was asked as often as it may be"
        return self._batch(rollouts, "refining around λ = " + f"{decision.lambda_:.2f}")

    def _evenly(self, left: int | None) -> Batch | None:
        """More samples of every row, the same problems under each."""
        preset, room = self._preset, self._size if left is None else min(self._size, left)
        grid = [preset.recipe(lambda_) for lambda_ in preset.search.grid]
        recipes = self._ledger.wanted([*grid, *preset.recipes])
        each = -(-room // len(recipes)) if recipes else 0
        rollouts = self._ledger.least_asked([(recipe, each) for recipe in recipes])
        return self._batch(rollouts[:room], "more samples of every row")

    def confirm(self) -> Batch | None:
        """The winner and its nearest rival on the held-out problems."""
        if not self._may_confirm:
            return None
        if self._ledger.search_in_flight:
            return Batch((), "waiting for the last of the search", self._ledger.asked)
        decision = self._judge(fine=True).decision
        points = [decision.chosen]
        rival = rival_point(decision)
        if rival is not None:
            points.append(rival)
        recipes = [self._preset.recipe(float(decision.lambdas[point])) for point in points]
        recipes = self._ledger.wanted(recipes)
        if not recipes:
            return None
        places = self._ledger.places(self._preset.search.samples, held_out=True)
        wanted = len(places)
        in_all = self._limits.in_all
        if in_all is not None:
            wanted = min(wanted, int(_CONFIRM_SHARE * in_all / len(recipes)))
        rollouts = self._ledger.missing(recipes, places[:wanted], self._size)
        return self._batch(rollouts, "confirming on held-out problems")

    def stop(self) -> Stop | Batch:
        """The end, once nothing is in flight."""
        if self._ledger.in_flight:
            return Batch((), "waiting for the last responses", self._ledger.asked)
        return Stop(self._reason or "everything asked for is done", self._settled)

    @property
    def _reserve(self) -> float:
        """The share of the limit that is kept for held-out problems, what they had taken off."""
        if not self._may_confirm:
            return 0.0
        in_all = self._limits.in_all
        had = self._ledger.held_out_asked / in_all if in_all else 0.0
        return max(_CONFIRM_SHARE - had, 0.0)

    @property
    def _may_confirm(self) -> bool:
        """Whether there are held-out problems, and enough can be asked of them to tell anything."""
        if not self._ledger.held_out_problems:
            return False
        in_all = self._limits.in_all
        return in_all is None or _CONFIRM_SHARE * in_all / 2 >= _FEWEST_TO_CONFIRM

    def _judge(self, *, fine: bool) -> Verdict:
        """The decision as it stands; the fine one is the one that is recommended."""
        return judge(
            self._observations,
            self._budget,
            tolerance=self._preset.search.tolerance,
            latency=self._latency,
            seed=self._preset.search.seed,
            like=self._preset.recipe(0.0),
            fine=fine,
        )

    def _batch(self, rollouts: Sequence[PlannedRollout], phase: str) -> Batch | None:
        rollouts = tuple(rollouts)[: self._limits.at_most(len(rollouts))]
        if not rollouts:
            return None
        return Batch(rollouts, phase, self._planned(len(rollouts)))

    def _planned(self, fresh: int) -> int:
        """About how many rollouts the study takes in all, never fewer than are asked by now."""
        search, ledger = self._preset.search, self._ledger
        each = len(ledger.places(search.samples))
        grid, rows = len(search.grid) * each, len(self._preset.recipes) * each
        held_out = 2 * len(ledger.places(search.samples, held_out=True))
        expected = grid + rows + held_out + (grid // 2 if search.refine else 0)
        if (in_all := self._limits.in_all) is not None:
            expected = in_all if self._to_the_limit else min(expected, in_all)
        return max(expected, ledger.asked + fresh)


def _settled(observations: Observations, preset: Preset, latency: Latency | None) -> bool:
    """Whether the decision is certain enough, asked when a limit ends the study."""
    try:
        return judge(
            observations,
            answerable(preset.budget, latency),
            tolerance=preset.search.tolerance,
            latency=latency,
            seed=preset.search.seed,
            like=preset.recipe(0.0),
        ).settled
    except CurveError:
        return False
