"""The joint model over λ: score, length and think ratio as curves with their uncertainty."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.statistics.cells import Floats, aggregate, probe_index, searched
from mi_tui.analysis.statistics.lengths import LengthTail, length_tails
from mi_tui.analysis.statistics.probe import CurveModel, ProbeCurves, ProbeRollouts, Strata
from mi_tui.analysis.statistics.regimes import fit_regimes
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import About, unknown_probe
from mi_tui.plan.recipe import Recipe

MODEL: CurveModel = fit_regimes
"""The model of a probe's curves; the benchmarks replace it to compare."""

_MOST_LAMBDAS = 128
"""λ that a curve is fitted through one by one; the grid that a recommendation is chosen from has
101."""

_POOLS = 64
"""Groups of neighbouring λ that more than those are taken in: still several to each length over
which a curve can bend."""


class CurveError(MiTuiError, ValueError):
    """Too little is stored for a curve over λ."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Draws of the curves over λ from their joint posterior.

    ``lambdas`` has shape (points,); ``score``, ``tokens``, ``tokens_p95`` and ``thinking`` have
    shape (draws, points). ``score_covariance`` and ``log_tokens_covariance`` (points, points)
    are the posterior's own, free of the noise of the draws. ``score_variance`` and
    ``tokens_variance`` (points,) are what one rollout more leaves open: the variance of one
    response's score, and of its length relative to the squared mean. ``probes`` are the curves of
    each probe by itself.
    """

    lambdas: Floats
    score: Floats
    tokens: Floats
    tokens_p95: Floats
    thinking: Floats
    score_covariance: Floats
    log_tokens_covariance: Floats
    score_variance: Floats
    tokens_variance: Floats
    probes: "tuple[ProbePart, ...]" = ()

    def of(self, probe: str | None) -> "Curves":
        """The curves of a probe; the study's own for ``None``.

        Raises:
            CurveError: the probe is not there, or has no rollouts yet.
        """
        if probe is None:
            return self
        for part in self.probes:
            if part.name == probe:
                return part.curves
        raise CurveError(unknown_probe(probe, [part.name for part in self.probes]))


@dataclass(frozen=True, slots=True)
class ProbePart:
    """One probe's curves, and its share of the rollouts that the study's curves are made of."""

    name: str
    rollouts: float
    curves: Curves


def family(recipes: tuple[Recipe, ...], like: Recipe | None = None) -> NDArray[np.int64]:
    """The recipes that differ in λ alone, ordered by λ: what a curve is drawn through.

    Args:
        recipes: all recipes of a study.
        like: a member of the family; by default the largest family is taken, the first of
            equals.
    """
    groups: dict[str, list[int]] = {}
    for index, recipe in enumerate(recipes):
        if recipe.merge_method.is_linear and not recipe.rules and recipe.thinking_cap is None:
            groups.setdefault(_without_lambda(recipe), []).append(index)
    if like is not None:
        chosen = groups.get(_without_lambda(like), [])
    else:
        chosen = max(groups.values(), key=len, default=[])
    return np.array(sorted(chosen, key=lambda i: recipes[i].lambda_ or 0.0), dtype=np.int64)


@lru_cache(4096)
def _without_lambda(recipe: Recipe) -> str:
    return recipe.model_copy(update={"lambda_": 0.0}).canonical_json()


def fit_curves(
    observations: Observations,
    lambdas: Floats,
    *,
    draws: int = 1000,
    seed: int = 0,
    like: Recipe | None = None,
    about: About = "new-problems",
) -> Curves:
    """Fit the joint model to the search problems and draw from its posterior.

    Each probe has curves of its own; the study's are their means, weighted by probe.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        lambdas: increasing λ at which the curves are wanted, shape (points,).
        draws: how many draws.
        seed: of the draws; equal stores and seeds give equal draws.
        like: a recipe of the family wanted (see :func:`family`).
        about: whether the curves are of means over problems like those of the probes, or over
            these problems themselves, the held-out ones among them.

    Raises:
        CurveError: no recipe of the family has rollouts on search problems.
    """
    mine = family(observations.recipes, like)
    pooled, lambda_of = _pooled(observations.in_order(), mine)
    return fit_at(pooled, mine, lambda_of, lambdas, draws=draws, seed=seed, about=about)


def fit_at(
    observations: Observations,
    mine: NDArray[np.int64],
    lambda_of: Floats,
    wanted: Floats,
    *,
    draws: int,
    seed: int,
    about: About,
) -> Curves:
    """As :func:`fit_curves`, of some recipes and their places.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        mine: the recipes that belong together, as indices.
        lambda_of: the λ, or both λ, of all recipes: (recipes,) or (recipes, 2).
        wanted: where the curves are wanted: (points,) or (points, 2).
        draws: how many draws.
        seed: of the draws.
        about: what the means are over.

    Returns:
        The curves; with two λ their ``lambdas`` only number the points.

    Raises:
        CurveError: none of the recipes has rollouts on search problems.
    """
    stored, observations = len(observations), observations.scored().in_order()
    cells = aggregate(observations)
    names, place = probe_index(observations.problems)
    search = searched(observations.problems)
    random = np.random.default_rng(seed)
    tails = length_tails(observations)
    parts: list[tuple[float, ProbeCurves]] = []
    asked_of: dict[str, int] = {}
    for probe in range(len(names)):
        problems = np.flatnonzero((place == probe) & search)
        answered = mine[cells.count[np.ix_(mine, problems)].sum(axis=1) > 0]
        if not len(answered):
            continue
        asked = problems[cells.count[np.ix_(answered, problems)].sum(axis=0) > 0]
        population = int((place == probe).sum()) if about == "these-problems" else None
        strata = Strata.of(
            [observations.problems[p].stratum for p in problems], problems, asked, population
        )
        weight = sum(p.weight for p in observations.problems if p.probe == names[probe])
        data = _rollouts_of(observations, answered, asked, lambda_of, tails, strata)
        parts.append((weight, MODEL(data, wanted, draws, random)))
        asked_of[names[probe]] = len(data.recipe)
    if not parts and stored > len(observations):
        raise CurveError(
            f"{stored - len(observations)} of {stored} responses could not be scored, and no λ has "
            "any other: the study's log says why"
        )
    if not parts:
        raise CurveError("no λ has rollouts on search problems yet: let the study run on")
    total = sum(weight for weight, _ in parts)
    shares = [(weight / total, part) for weight, part in parts]
    lambdas = wanted if wanted.ndim == 1 else np.arange(len(wanted), dtype=np.float64)
    whole = _mean(lambdas, shares)
    every = sum(asked_of.values())
    apart = tuple(
        ProbePart(name, asked / every, _mean(lambdas, [(1.0, part)]) if len(parts) > 1 else whole)
        for (name, asked), (_, part) in zip(asked_of.items(), parts, strict=True)
    )
    return replace(whole, probes=apart)


def _mean(lambdas: Floats, shares: list[tuple[float, ProbeCurves]]) -> Curves:
    """The curves of means over probes, each with its share."""
    tokens = _sum(share * part.tokens for share, part in shares)
    tail = _sum(share * part.tail for share, part in shares)
    return Curves(
        lambdas=lambdas,
        score=_sum(share * part.score for share, part in shares),
        tokens=tokens,
        tokens_p95=tokens * np.exp(tail),
        thinking=_sum(share * part.thinking for share, part in shares),
        score_covariance=_sum(share**2 * part.score_covariance for share, part in shares),
        log_tokens_covariance=_sum(
            np.outer(part_of, part_of) * part.log_tokens_covariance
            for part_of, (_, part) in zip(_parts_of_tokens(shares), shares, strict=True)
        ),
        score_variance=_sum(share * part.score_variance for share, part in shares),
        tokens_variance=_sum(share * part.tokens_variance for share, part in shares),
    )


def _rollouts_of(
    observations: Observations,
    answered: NDArray[np.int64],
    asked: NDArray[np.int64],
    lambda_of: Floats,
    tails: list[LengthTail],
    strata: Strata,
) -> ProbeRollouts:
    """The rollouts of some recipes on some problems, both numbered anew."""
    places = (np.full(len(observations.recipes), -1), np.full(len(observations.problems), -1))
    for place, members in zip(places, (answered, asked), strict=True):
        place[members] = np.arange(len(members))
    recipe, problem = places[0][observations.recipe], places[1][observations.problem]
    rows = np.flatnonzero((recipe >= 0) & (problem >= 0))
    recipe, mine = recipe[rows], [tails[i] for i in answered]
    excess = np.array([tail.excess for tail in mine])
    return ProbeRollouts(
        recipe=recipe,
        problem=problem[rows],
        score=observations.score[rows].astype(np.float64),
        tokens=observations.tokens[rows] + excess[recipe] * observations.truncated[rows],
        thinking=observations.thinking[rows],
        lambdas=lambda_of[answered],
        tails=mine,
        strata=strata,
    )


def _pooled(observations: Observations, mine: NDArray[np.int64]) -> tuple[Observations, Floats]:
    """Neighbouring λ taken as one where there are very many: a fit takes the cube of their number.

    Args:
        observations: the study's rollouts.
        mine: the family's recipes, ordered by λ.

    Returns:
        The rollouts, those of each group under its first recipe, and the λ of every recipe: of
        such a first one the mean over its group's rollouts. Up to 128 λ are left as they are.
    """
    lambdas = np.array([recipe.lambda_ or 0.0 for recipe in observations.recipes])
    rollouts = np.bincount(observations.recipe, minlength=len(lambdas))
    answered = mine[rollouts[mine] > 0]
    if len(answered) <= _MOST_LAMBDAS:
        return observations, lambdas
    stands_for = np.arange(len(lambdas))
    means = lambdas.copy()
    for group in np.array_split(answered, _POOLS):
        stands_for[group] = group[0]
        means[group[0]] = np.average(lambdas[group], weights=rollouts[group])
    return replace(observations, recipe=stands_for[observations.recipe]), means


def _sum(parts: Iterable[Floats]) -> Floats:
    return np.asarray(sum(parts), dtype=np.float64)


def _parts_of_tokens(shares: list[tuple[float, ProbeCurves]]) -> list[Floats]:
    """The share of each probe in the mean tokens at every λ, arrays of shape (points,)."""
    means = [share * part.tokens.mean(axis=0) for share, part in shares]
    total = _sum(means)
    return [mean / total for mean in means]
