"""The search of a λ for each group of layers, around the uniform λ and held to its front.

Pure, like the search over λ: what is asked next and what came of it follow from what is stored.
Each group's λ is moved alone, up and down; the effects, paired over the same problems, are added
up over the groups; the most promising mixtures are asked on the search problems, and the best of
them on held-out problems, beside the uniform λ of the same length.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations
from mi_tui.analysis.results import Estimate, PairedDifference
from mi_tui.analysis.search.limits import Limits, Spent
from mi_tui.analysis.search.policy import Batch, Stop
from mi_tui.analysis.search.rollout_ledger import PlannedRollout, RolloutLedger
from mi_tui.analysis.search.uniform_front import (
    HELD_OUT_FACTOR,
    Uniform,
    all_asked,
    front_gain,
    held_out_difference,
    rival_of,
    uniform_answer,
)
from mi_tui.analysis.statistics.metrics import paired_difference
from mi_tui.plan.base import Plan
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import LambdaRule, Recipe

STEP = 0.2
"""How far a group's λ is moved from the uniform one."""

MIXTURES = 3
"""How many of the most promising mixtures are asked."""

_MOST_MIXTURES = 5**6


class GroupResult(Plan):
    """What came of a λ per group.

    ``recipe`` is the best mixture found and ``rival`` the uniform λ of about its length.
    ``held_out`` is their paired difference on held-out problems, which took no part in choosing
    either. ``beats``: even at the ends of both 95 % intervals that favour it least, it scores
    more than the uniform curve gives at its length. Without a promising mixture, or before it
    was asked, the recipes are ``None``.
    """

    recipe: Recipe | None = None
    rival: Recipe | None = None
    held_out: PairedDifference | None = None
    beats: bool = False
    sentence: str


def next_group_batch(
    observations: Observations,
    preset: Preset,
    *,
    spent: Spent,
    in_flight: Sequence[PlannedRollout],
    latency: Latency | None,
    uniform: Stop,
    dropped: Sequence[Recipe] = (),
) -> Batch | Stop:
    """What to ask for a λ per group once the search over the uniform λ has stopped.

    Args:
        observations: everything stored.
        preset: what the study was asked to do, with its layer groups.
        spent: what all stored rollouts have cost; the search's limits hold here, too.
        in_flight: rollouts that were handed out and are not stored.
        latency: the speed of the merged model, for a budget in seconds.
        uniform: how the search over the uniform λ ended.
        dropped: rows the user no longer wants; nothing more is asked of them.
    """
    limits = Limits.of(preset.search, spent, observations, len(in_flight))
    if in_flight:
        return Batch((), "waiting for the layer groups", len(observations) + len(in_flight))
    if limits.exhausted:
        return Stop(limits.exhausted, uniform.settled)
    own = {probe.name or probe.kind: probe.samples for probe in preset.probes if probe.samples}
    ledger = RolloutLedger(observations, in_flight, dropped, own)
    samples = preset.search.samples
    found = _uniform(observations, preset, latency)
    probing = ledger.wanted([found.recipe, *_moved_alone(found.recipe, preset)])
    stages = [(probing, ledger.places(samples), "moving each layer group's λ")]
    if all_asked(observations, probing):
        mixtures = _promising(observations, found, preset)
        stages.append((mixtures, ledger.places(samples), "mixing the layer groups' λ"))
        best = _best(observations, found, mixtures)
        if best is not None:
            pair = [best, _rival(observations, found, best)]
            places = ledger.places(HELD_OUT_FACTOR * samples, held_out=True)
            stages.append((pair, places, "λ per layer group on held-out problems"))
    for recipes, places, phase in stages:
        missing = ledger.missing(ledger.wanted(recipes), places, len(places) * len(recipes))
        rollouts = tuple(missing)[: limits.at_most(len(missing))]
        if rollouts:
            return Batch(rollouts, phase, ledger.asked + len(rollouts))
    return uniform


def group_result(
    observations: Observations, preset: Preset, latency: Latency | None = None
) -> GroupResult:
    """Whether a λ per group beats the uniform front on held-out problems, or that it does not."""
    found = _uniform(observations, preset, latency)
    if not all_asked(observations, [found.recipe, *_moved_alone(found.recipe, preset)]):
        return GroupResult(sentence="The λ per layer group has not been searched to its end.")
    best = _best(observations, found, _promising(observations, found, preset))
    if best is None:
        return GroupResult(
            sentence=f"No λ per layer group promises more than the uniform {found.recipe.label}."
        )
    rival = _rival(observations, found, best)
    difference = held_out_difference(observations, best, rival)
    if difference is None:
        sentence = f"{best.label} has not been asked on held-out problems, so nothing is shown."
        return GroupResult(recipe=best, rival=rival, sentence=sentence)
    beats = difference.score.low > front_gain(found, rival, difference.tokens_ratio.high)
    return GroupResult(
        recipe=best,
        rival=rival,
        held_out=difference,
        beats=beats,
        sentence=_sentence(difference, beats),
    )


def _uniform(observations: Observations, preset: Preset, latency: Latency | None) -> Uniform:
    return uniform_answer(
        observations, preset, latency, at=_lambda_begun_with(observations, preset)
    )


def _lambda_begun_with(observations: Observations, preset: Preset) -> float | None:
    """The λ that the groups are moved from since their first move.

    What that λ is asked on the way may move the uniform recommendation a little; the groups stay.
    """
    groups = preset.search.layer_groups
    for recipe in observations.recipes:
        if recipe.rules and tuple(rule.layers for rule in recipe.rules) == groups:
            return recipe.lambda_
    return None


def grouped(uniform: Recipe, preset: Preset, offsets: Sequence[float]) -> Recipe:
    """The uniform recipe with each layer group's λ moved by its offset, inside [0, 1]."""
    lambda_ = uniform.lambda_ or 0.0
    rules = tuple(
        LambdaRule(lambda_=min(max(lambda_ + offset, 0.0), 1.0), layers=layers)
        for layers, offset in zip(preset.search.layer_groups, offsets, strict=True)
    )
    return uniform.model_copy(update={"rules": rules})


def _moved_alone(uniform: Recipe, preset: Preset) -> list[Recipe]:
    """Each group moved up and down by itself; a move that changes nothing is left out."""
    groups = len(preset.search.layer_groups)
    lambda_ = uniform.lambda_ or 0.0
    return [
        grouped(uniform, preset, [step if at == group else 0.0 for at in range(groups)])
        for group in range(groups)
        for step in (-STEP, STEP)
        if 0.0 <= lambda_ + step / 2 <= 1.0
    ]


def _effect(observations: Observations, recipe: Recipe, uniform: Recipe) -> tuple[float, float]:
    """What a recipe changes: score, and logarithm of the tokens; drawn to 0 by their noise."""
    place = {known: index for index, known in enumerate(observations.recipes)}
    found = paired_difference(observations, place[recipe], place[uniform])
    log_ratio = Estimate(
        value=float(np.log(found.tokens_ratio.value)),
        low=float(np.log(max(found.tokens_ratio.low, 1e-9))),
        high=float(np.log(found.tokens_ratio.high)),
    )
    return _shrunk(found.score), _shrunk(log_ratio)


def _shrunk(estimate: Estimate) -> float:
    error = (estimate.high - estimate.low) / 4
    return float(estimate.value**3 / (estimate.value**2 + error**2)) if estimate.value else 0.0


def _promising(observations: Observations, found: Uniform, preset: Preset) -> list[Recipe]:
    """The mixtures whose added effects promise most: first those that keep length, or score."""
    groups = len(preset.search.layer_groups)
    effects = {(group, 0.0): (0.0, 0.0) for group in range(groups)}
    for group in range(groups):
        for step in (-STEP, STEP):
            alone = [step if at == group else 0.0 for at in range(groups)]
            recipe = grouped(found.recipe, preset, alone)
            if all_asked(observations, [recipe]):
                effects[group, step] = _effect(observations, recipe, found.recipe)
            else:
                effects[group, step] = (-1.0, 0.0)  # outside [0, 1]
            half = effects[group, step]
            effects[group, step / 2] = (half[0] / 2, half[1] / 2)
    steps: tuple[float, ...] = (-STEP, -STEP / 2, 0.0, STEP / 2, STEP)
    if len(steps) ** groups > _MOST_MIXTURES:
        steps = (-STEP, 0.0, STEP)
    ranked = []
    for offsets in product(steps, repeat=groups):
        score = sum(effects[group, step][0] for group, step in enumerate(offsets))
        length = sum(effects[group, step][1] for group, step in enumerate(offsets))
        kept, gain = (score, -length) if found.in_tokens else (-length, score)
        if kept >= 0 and gain > 0:
            ranked.append((-gain, offsets))
    ranked.sort()
    recipes = [grouped(found.recipe, preset, offsets) for _, offsets in ranked]
    return list(dict.fromkeys(recipes))[:MIXTURES]


def _best(observations: Observations, found: Uniform, mixtures: Sequence[Recipe]) -> Recipe | None:
    """The mixture that was measured best on the search problems."""
    if not mixtures or not all_asked(observations, mixtures):
        return None

    def merit(recipe: Recipe) -> float:
        score, length = _effect(observations, recipe, found.recipe)
        gain, lost = (-length, min(score, 0.0)) if found.in_tokens else (score, -max(length, 0.0))
        return gain + lost

    return max(mixtures, key=merit)


def _rival(observations: Observations, found: Uniform, best: Recipe) -> Recipe:
    """The uniform λ of about the mixture's length."""
    place = {known: index for index, known in enumerate(observations.recipes)}
    ratio = paired_difference(observations, place[best], place[found.recipe]).tokens_ratio.value
    return rival_of(found, ratio)


def _sentence(difference: PairedDifference, beats: bool) -> str:
    score, ratio = difference.score, difference.tokens_ratio
    points = [100 * value for value in (score.value, score.low, score.high)]
    verb = "beats the uniform front" if beats else "is not shown to beat the uniform front"
    return (
        f"{difference.first.label} {verb}: on {difference.problems} held-out problems it scores"
        f" {points[0]:+.1f} points ({points[1]:+.1f} to {points[2]:+.1f}) against"
        f" {difference.second.label}, with ×{ratio.value:.2f} its tokens"
        f" ({ratio.low:.2f} to {ratio.high:.2f})."
    )
