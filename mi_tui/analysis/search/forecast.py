"""The forecast of a study: its asks, its cost at most, and what it will be able to tell.

The resolution is that of an even comparison: the same problems and samples under every λ. The
search then spends what is left where it decides most, which narrows the answer further.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.probe_kind import kind_of

_SAME_PROBLEM = 0.3
"""The share of a score's variance that lies between problems, as the intervals take it."""
_KEEPS_DIFFICULTY = 0.8
"""How far a problem that is hard under one λ is hard under another: a correlation."""
_LENGTH_WITHIN = math.exp(0.6**2) - 1
"""The relative variance of lengths between samples of one problem: log-normal, σ 0.6."""
_LENGTH_BETWEEN = 0.3**2
"""The variance over problems of the logarithm of the ratio of two λ's lengths."""
_LEVEL = 0.95
_SEARCH_SHARE = 0.88
"""What a limit of rollouts leaves for the search; the rest confirms the answer."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The size of a study and what it can tell.

    ``recipes`` counts the grid and the further rows; ``problems`` and ``held_out`` are of all
    probes together. ``rollouts`` is what grid, rows, layer groups and two knobs ask, the
    confirmation of the answer left out, and ``most_tokens`` their tokens if every response were
    cut at its cap; both respect the limits. ``group_rollouts`` is the part of them, at most, of
    layer groups or two knobs, their held-out problems included. ``share`` is how much of the
    samples wanted of grid and rows a limit of rollouts allows, 1 without one.
    ``score`` and ``length`` are half-widths of 95 % intervals of what differs
    between two λ: of Mean@k from 0 to 1, and of tokens as a share of the length; where the budget
    has limits on single probes, of the study or of such a probe, whichever is wider.
    """

    recipes: int
    problems: int
    held_out: int
    share: float
    rollouts: int
    most_tokens: int
    score: float
    length: float
    group_rollouts: int = 0


def problem_count(plan: AnyProbe) -> int | None:
    """How many problems a probe asks, where that is known without reading anything."""
    there = kind_of(plan.kind).size(plan)
    if there is None or plan.problems is None:
        return there
    return min(there, plan.problems)


def forecast(preset: Preset, sizes: Sequence[int]) -> Forecast:
    """The forecast of a preset whose probes have so many problems each, in their order.

    Raises:
        ValueError: there is not one size per probe.
    """
    plans = preset.probes
    held_out = [_held_out(n, p.held_out) for n, p in zip(sizes, plans, strict=True)]
    search = [n - out for n, out in zip(sizes, held_out, strict=True)]
    samples = [plan.samples or preset.search.samples for plan in plans]
    recipes = len(preset.search.grid) + len(preset.recipes)
    wanted = recipes * sum(n * k for n, k in zip(search, samples, strict=True))
    rollouts = wanted
    if preset.search.max_rollouts is not None:
        rollouts = min(wanted, int(_SEARCH_SHARE * preset.search.max_rollouts))
    share = rollouts / max(wanted, 1)
    group_rollouts, group_tokens = _beside_uniform(preset, search, held_out)
    if preset.search.max_rollouts is not None:
        left = preset.search.max_rollouts - rollouts
        group_tokens = group_tokens * min(left, group_rollouts) // max(group_rollouts, 1)
        group_rollouts = min(left, group_rollouts)
    caps = [n * k * p.max_new_tokens for n, k, p in zip(search, samples, plans, strict=True)]
    most_tokens = int(recipes * share * sum(caps)) + group_tokens
    if preset.search.max_tokens is not None:
        most_tokens = min(most_tokens, preset.search.max_tokens)
    weights = [plan.weight / sum(p.weight for p in plans) for plan in plans]
    asked = [(n, k * share) for n, k in zip(search, samples, strict=True)]
    fixed = preset.budget.about == "these-problems"
    score, length = _half_widths(weights, asked, among=sizes if fixed else None)
    for place, name in enumerate(preset.probe_names):
        if any(limit.probe == name for limit in preset.budget.limits):
            among = [sizes[place]] if fixed else None
            own = _half_widths([1.0], [asked[place]], among=among)
            score, length = max(score, own[0]), max(length, own[1])
    return Forecast(
        recipes=recipes,
        problems=sum(sizes),
        held_out=sum(held_out),
        share=share,
        rollouts=rollouts + group_rollouts,
        most_tokens=most_tokens,
        score=score,
        length=length,
        group_rollouts=group_rollouts,
    )


def _beside_uniform(
    preset: Preset, search: Sequence[int], held_out: Sequence[int]
) -> tuple[int, int]:
    """The most rollouts a λ per layer group, or two knobs, take, and their tokens at the cap.

    ``search`` and ``held_out`` count the problems of each probe.
    """
    if not preset.search.beside_uniform:
        return 0, 0
    # Here, since they bring NumPy along.
    from mi_tui.analysis.search.layer_groups import MIXTURES
    from mi_tui.analysis.search.two_knobs import POINTS
    from mi_tui.analysis.search.uniform_front import HELD_OUT_FACTOR

    groups = len(preset.search.layer_groups)
    recipes = POINTS if preset.search.two_knobs else 1 + 2 * groups + MIXTURES
    rollouts, tokens = 0, 0
    for plan, inside, outside in zip(preset.probes, search, held_out, strict=True):
        samples = plan.samples or preset.search.samples
        of_held_out = HELD_OUT_FACTOR * preset.search.samples if not plan.samples else samples
        asked = recipes * inside * samples + 2 * outside * of_held_out
        rollouts += asked
        tokens += asked * plan.max_new_tokens
    return rollouts, tokens


def resolution(problems: float, samples: float, score: float = 0.5) -> tuple[float, float]:
    """What differs between two λ, asked the same problems: half-widths of 95 % intervals.

    A difference of means over problems: what the samples scatter within a problem falls with
    their number, what a problem makes of λ stays. One sample of some problems alone counts as
    fewer problems.

    Args:
        problems: the effective number of problems, at least 1.
        samples: samples of each problem under each λ; below 1, the share of problems asked.
        score: the Mean@k about which the difference lies; 0.5 is the hardest to tell.

    Returns:
        The half-width of the difference of Mean@k, at most 1, and of the ratio of lengths.
    """
    return _half_widths([1.0], [(problems, samples)], score)


def _half_widths(
    weights: Sequence[float],
    asked: Sequence[tuple[float, float]],
    score: float = 0.5,
    among: Sequence[int] | None = None,
) -> tuple[float, float]:
    """As :func:`resolution`, for probes with so many (problems, samples) and these weights.

    ``among`` are all problems of each probe, where the answer is about these alone: what a problem
    makes of λ is then no scatter, once it was asked.
    """
    from mi_tui.analysis.statistics.intervals import t_quantile  # it brings NumPy along

    of_score, of_length, spread = 0.0, 0.0, 0.0
    for place, (weight, (problems, samples)) in enumerate(zip(weights, asked, strict=True)):
        number = max(problems * min(samples, 1.0), 1.0)
        open_ = 1.0 if among is None else max(1 - number / max(among[place], 1), 0.0)
        drawn = max(samples, 1.0)
        own = _SAME_PROBLEM * (1 - _KEEPS_DIFFICULTY)
        scatter = 2 * score * (1 - score) * ((1 - _SAME_PROBLEM) / drawn + open_ * own)
        of_score += weight**2 * scatter / number
        of_length += weight**2 * (2 * _LENGTH_WITHIN / drawn + open_ * _LENGTH_BETWEEN) / number
        spread += weight**2 / number
    t = t_quantile(_LEVEL, 1 / spread - 1)
    return (
        min(t * math.sqrt(of_score), 1.0),
        math.exp(min(t * math.sqrt(of_length), 5.0)) - 1,
    )


def _held_out(problems: int, share: float) -> int:
    """As the probes are split: a share above 0 holds out at least one, and never all."""
    if share <= 0 or problems < 2:
        return 0
    return min(max(round(share * problems), 1), problems - 1)
