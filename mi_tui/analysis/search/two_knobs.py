"""The search of two knobs, λ of attention and λ of the FFN, held to the uniform front.

Pure, like the search over λ: what is asked next and what came of it follow from what is stored.
Once the uniform λ is found, a few points off the diagonal are asked; then those from which the
decision over both λ learns most per token, with the same statistics; then the most promising point
and the uniform λ of about its length, on held-out problems.
"""

from collections import Counter
from collections.abc import Sequence

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.recommendation.knowledge_gradient import next_lambdas
from mi_tui.analysis.recommendation.verdict import answerable
from mi_tui.analysis.results import PairedDifference
from mi_tui.analysis.search.knob_decision import KnobCell, KnobDecision, in_words, knob_rows
from mi_tui.analysis.search.limits import Limits, Spent
from mi_tui.analysis.search.policy import Batch, Stop
from mi_tui.analysis.search.rollout_ledger import PlannedRollout, RolloutLedger
from mi_tui.analysis.search.uniform_front import (
    HELD_OUT_FACTOR,
    front_gain,
    held_out_difference,
    rival_of,
    uniform_answer,
)
from mi_tui.analysis.statistics.plane import Knobs
from mi_tui.plan.base import Plan
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, with_knobs

POINTS = 10
"""How many points may be asked as often as a recipe of the grid, in all, before held-out problems.
"""

LEVEL = 0.9
"""The level of the intervals on held-out problems."""

_UNIFORM_SHARE = 0.55
"""The part of a study's limits that the uniform search has."""
_HELD_OUT_SHARE = 0.4
"""The most of what is left then that is kept for the held-out problems."""
_OFFSETS = (0.3, 0.6)
"""How far apart from the uniform λ the first points have both λ."""
_UNLIKELY = 0.1
"""The probability of a gain beyond the tolerance below which a point is given up."""
_FIRST_SHARE, _PROMISING_SHARE = 0.25, 0.4
"""The parts of what two knobs may take for the first points, and of each later batch for the point
that promises most: what is chosen in the end must have been asked."""
_MOST_SAMPLES = 8
_FEWEST_PROBLEMS = 4


class KnobResult(Plan):
    """What came of two knobs.

    ``uniform`` is the uniform answer, ``recipe`` the most promising point off the diagonal and
    ``rival`` the uniform λ of about its length. ``held_out`` is their paired difference on held-out
    problems, which took no part in choosing either, with 90 % intervals. ``beats``: even at the
    ends of both intervals that favour it least, it scores more than the uniform curve gives at its
    length. Without a promising point, or before it was asked, the recipes are ``None``. ``cells``
    are the points of the lattice, attention by FFN.
    """

    uniform: Recipe
    recipe: Recipe | None = None
    rival: Recipe | None = None
    held_out: PairedDifference | None = None
    beats: bool = False
    cells: tuple[KnobCell, ...] = ()
    sentence: str


def uniform_part(preset: Preset) -> Preset:
    """The preset as the uniform search has it: with a part of the limits."""
    search = preset.search
    if not search.two_knobs:
        return preset
    limits = {
        "max_rollouts": _part(search.max_rollouts),
        "max_tokens": _part(search.max_tokens),
        "max_minutes": search.max_minutes and _UNIFORM_SHARE * search.max_minutes,
    }
    return preset.model_copy(update={"search": search.model_copy(update=limits)})


def _part(limit: int | None) -> int | None:
    return None if limit is None else max(int(_UNIFORM_SHARE * limit), 1)


def next_knob_batch(
    observations: Observations,
    preset: Preset,
    *,
    spent: Spent,
    in_flight: Sequence[PlannedRollout],
    size: int,
    latency: Latency | None,
    uniform: Stop,
    dropped: Sequence[Recipe] = (),
) -> Batch | Stop:
    """What to ask of two knobs once the search over the uniform λ has stopped.

    Args:
        observations: everything stored.
        preset: what the study was asked to do.
        spent: what all stored rollouts have cost; the search's limits hold here, too.
        in_flight: rollouts that were handed out and are not stored.
        size: about how many rollouts keep the engine busy.
        latency: the speed of the merged model, for a budget in seconds.
        uniform: how the search over the uniform λ ended.
        dropped: rows the user no longer wants; nothing more is asked of them.
    """
    limits = Limits.of(preset.search, spent, observations, len(in_flight))
    if in_flight:
        return Batch((), "waiting for two knobs", len(observations) + len(in_flight))
    if limits.exhausted:
        return Stop(limits.exhausted, uniform.settled)
    own = {probe.name or probe.kind: probe.samples for probe in preset.probes if probe.samples}
    ledger = RolloutLedger(observations, in_flight, dropped, own)
    step = _Step(observations, preset, ledger, limits, size, latency)
    return (
        step.first_points()
        or step.refine()
        or step.confirm()
        or Stop("two knobs were searched as far as they go", uniform.settled)
    )


def knob_result(
    observations: Observations, preset: Preset, latency: Latency | None = None
) -> KnobResult:
    """Whether two knobs beat the uniform front on held-out problems, or that they do not."""
    found = uniform_answer(observations, preset, latency)
    if not knob_rows(observations, preset):
        return KnobResult(uniform=found.recipe, sentence="Two knobs have not been searched yet.")
    picture = KnobDecision.of(observations, preset, found, latency)
    cells = picture.cells(observations)
    best = picture.best(observations)
    if best is None:
        sentence = (
            "Two knobs: no λ of attention with another of the FFN promises more than the uniform "
            f"{found.recipe.label}."
        )
        return KnobResult(uniform=found.recipe, cells=cells, sentence=sentence)
    rival = rival_of(found, picture.length_ratio(best))
    difference = held_out_difference(observations, best, rival, LEVEL)
    if difference is None:
        return KnobResult(
            uniform=found.recipe,
            recipe=best,
            rival=rival,
            cells=cells,
            sentence=f"Two knobs: {in_words(best)} has not been asked on held-out problems, so "
            "nothing is shown.",
        )
    beats = difference.score.low > front_gain(found, rival, difference.tokens_ratio.high)
    return KnobResult(
        uniform=found.recipe,
        recipe=best,
        rival=rival,
        held_out=difference,
        beats=beats,
        cells=cells,
        sentence=_sentence(difference, beats),
    )


class _Step:
    """One call of :func:`next_knob_batch`; the phases in turn say whether they have work."""

    def __init__(
        self,
        observations: Observations,
        preset: Preset,
        ledger: RolloutLedger,
        limits: Limits,
        size: int,
        latency: Latency | None,
    ) -> None:
        self._observations = observations
        self._preset = preset
        self._ledger = ledger
        self._limits = limits
        self._size = size
        self._latency = latency
        self._found = uniform_answer(observations, preset, latency)

    def first_points(self) -> Batch | None:
        """The uniform answer and points across from it, each search problem once."""
        if knob_rows(self._observations, self._preset):
            return None
        lambda_ = self._found.recipe.lambda_ or 0.0
        points = _first_points(lambda_)
        recipes = [with_knobs(self._found.recipe, *point) for point in points]
        recipes = self._ledger.wanted([self._found.recipe, *recipes])
        places, left = self._ledger.places(1), self._left
        wanted = max(int(_FIRST_SHARE * left / len(recipes)), _FEWEST_PROBLEMS)
        rollouts = self._ledger.missing(recipes, places[:wanted], len(places) * len(recipes))
        return self._batch(rollouts, "two knobs: first points")

    def refine(self) -> Batch | None:
        """The points from which the decision learns most per token."""
        search, left = self._preset.search, self._left
        if left < self._size / 4:
            return None
        picture = KnobDecision.of(self._observations, self._preset, self._found, self._latency)
        decision = picture.decision
        if (
            picture.most_likely_gain < _UNLIKELY
            or decision.expected_loss_of_promising <= search.tolerance
        ):
            return None
        budget = answerable(self._preset.budget, self._latency)
        size = min(max(self._size, len(self._ledger.search_problems)), left)
        first = round(_PROMISING_SHARE * size)
        chosen = next_lambdas(
            picture.surface.curves,
            decision,
            budget,
            picture.design(self._observations),
            size=size - first,
            horizon=float(self._observations.tokens.mean()) * left,
            room=_MOST_SAMPLES * search.samples * len(self._ledger.search_problems),
        )
        asked = Counter({float(decision.promising): first})
        asked.update(dict(chosen))
        wanted = [
            (with_knobs(self._found.recipe, *picture.surface.knobs[int(point)].tolist()), count)
            for point, count in asked.items()
        ]
        rollouts = self._ledger.least_asked(
            [(recipe, count) for recipe, count in wanted if self._ledger.is_wanted(recipe)]
        )
        return self._batch(rollouts, f"two knobs: around {in_words(wanted[0][0])}")

    def confirm(self) -> Batch | None:
        """The most promising point and its rival on the held-out problems."""
        if not knob_rows(self._observations, self._preset):
            return None
        picture = KnobDecision.of(self._observations, self._preset, self._found, self._latency)
        best = picture.best(self._observations)
        if best is None:
            return None
        pair = self._ledger.wanted([best, rival_of(self._found, picture.length_ratio(best))])
        if len(pair) < 2:
            return None
        places = self._ledger.places(HELD_OUT_FACTOR * self._preset.search.samples, held_out=True)
        rollouts = self._ledger.missing(pair, places, 2 * len(places))
        return self._batch(rollouts, "two knobs on held-out problems")

    @property
    def _left(self) -> int:
        """How many rollouts two knobs may still take, the held-out problems left aside."""
        search = self._preset.search
        asked = sum(
            int((self._observations.recipe == self._observations.recipes.index(recipe)).sum())
            for recipe in knob_rows(self._observations, self._preset)
        )
        own = max(POINTS * len(self._ledger.places(search.samples)) - asked, 0)
        in_all = self._limits.in_all
        if in_all is None:
            return own
        held_out = 2 * len(self._ledger.places(HELD_OUT_FACTOR * search.samples, held_out=True))
        kept = _HELD_OUT_SHARE * (1 - _UNIFORM_SHARE)
        left = self._limits.left_before(min(held_out / in_all, kept))
        return own if left is None else min(own, left)

    def _batch(self, rollouts: Sequence[PlannedRollout], phase: str) -> Batch | None:
        rollouts = tuple(rollouts)[: self._limits.at_most(len(rollouts))]
        return Batch(rollouts, phase, self._ledger.asked + len(rollouts)) if rollouts else None


def _first_points(lambda_: float) -> list[Knobs]:
    """Points across from a uniform λ, on the lattice and inside [0, 1]."""
    found: dict[Knobs, None] = {}
    for offset in (*_OFFSETS, *(-value for value in _OFFSETS)):
        both = (min(max(round(lambda_ + by, 1), 0.0), 1.0) for by in (-offset, offset))
        attention, ffn = both
        if attention != ffn:
            found[attention, ffn] = None
    return list(found)


def _sentence(difference: PairedDifference, beats: bool) -> str:
    score, ratio = difference.score, difference.tokens_ratio
    points = 100 * score.value
    more = f"{abs(points):.1f} points {'less' if points < 0 else 'more'}"
    low, high = (f"{100 * value:.1f}".replace("-", "−") for value in (score.low, score.high))
    if beats:
        verdict = "they beat the uniform front"
    elif score.high < 0:
        verdict = "they are worse"
    elif score.low > 0:
        verdict = "longer responses may explain it, so no gain is shown"
    else:
        verdict = "no significant difference"
    return (
        f"Two knobs ({in_words(difference.first)}): {more} than {difference.second.label} on"
        f" {difference.problems} held-out problems (90 % interval {low} to {high}), with"
        f" ×{ratio.value:.2f} its tokens ({ratio.low:.2f} to {ratio.high:.2f}): {verdict}."
    )
