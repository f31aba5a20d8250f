"""The joint model over λ: score, length and think ratio as curves with their uncertainty."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.statistics.cells import Cells, Floats, aggregate, probe_index, searched
from mi_tui.analysis.statistics.gaussian_process import Smoothness, posterior
from mi_tui.analysis.statistics.lengths import LengthTail, length_tails
from mi_tui.analysis.statistics.marginal import LOG, LOGIT, Responses, expit, fit_mean
from mi_tui.analysis.statistics.regimes import RegimeCurves, Rollouts
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe

_SCORE = Smoothness(level=2.0, slope=1.5, amplitudes=(0.15, 0.5, 1.5))
_TOKENS = Smoothness(level=1.0, slope=1.0, amplitudes=(0.1, 0.3, 1.0))
_THINKING = Smoothness(
    level=3.0, slope=6.0, amplitudes=(1.5, 4.0), lengths=(0.15, 0.35), stretches=(0.0,)
)
_TAIL = Smoothness(level=0.5, slope=0.3, amplitudes=(0.1, 0.3), stretches=(0.0,))
_LENGTH_VARIANCE, _PRIOR_ROLLOUTS, _OWN_ROLLOUTS = 0.4, 5.0, 60.0
_MOST_LAMBDAS = 128
"""λ that a curve is fitted through one by one; the grid that a recommendation is chosen from has
101."""

_POOLS = 64
"""Groups of neighbouring λ that more than those are taken in: still several to each length over
which a curve can bend."""

_FREEDOM = 4.0
"""About how many responses the curve of the mean length takes for itself."""


class CurveError(MiTuiError, ValueError):
    """Too little is stored for a curve over λ."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Draws of the curves over λ from their joint posterior.

    ``lambdas`` has shape (points,); ``score``, ``tokens``, ``tokens_p95`` and ``thinking`` have
    shape (draws, points). ``score_covariance`` and ``log_tokens_covariance`` (points, points)
    are the posterior's own, free of the noise of the draws. ``score_variance`` and
    ``tokens_variance`` (points,) are what one rollout more leaves open: the variance of one
    response's score, and of its length relative to the squared mean.
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


def family(recipes: tuple[Recipe, ...], like: Recipe | None = None) -> NDArray[np.int64]:
    """The recipes that differ in λ alone, ordered by λ: what a curve is drawn through.

    Args:
        recipes: all recipes of a study.
        like: a member of the family; by default the largest family is taken, the first of
            equals.
    """
    groups: dict[str, list[int]] = {}
    for index, recipe in enumerate(recipes):
        if recipe.merge_method.is_linear and not recipe.rules:
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
) -> Curves:
    """Fit the joint model to the search problems and draw from its posterior.

    Each probe has curves of its own; the study's are their means, weighted by probe.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        lambdas: increasing λ at which the curves are wanted, shape (points,).
        draws: how many draws.
        seed: of the draws; equal stores and seeds give equal draws.
        like: a recipe of the family wanted (see :func:`family`).

    Raises:
        CurveError: no recipe of the family has rollouts on search problems.
    """
    mine = family(observations.recipes, like)
    stored, observations = len(observations), observations.scored()
    observations, lambda_of = _pooled(observations, mine)
    cells = aggregate(observations)
    names, place = probe_index(observations.problems)
    search = searched(observations.problems)
    random = np.random.default_rng(seed)
    tails = length_tails(observations)
    parts: list[tuple[float, _ProbeCurves]] = []
    for probe in range(len(names)):
        problems = np.flatnonzero((place == probe) & search)
        answered = mine[cells.count[np.ix_(mine, problems)].sum(axis=1) > 0]
        if not len(answered):
            continue
        asked = problems[cells.count[np.ix_(answered, problems)].sum(axis=0) > 0]
        strata = Strata.of([observations.problems[p].stratum for p in problems], problems, asked)
        weight = sum(p.weight for p in observations.problems if p.probe == names[probe])
        known = lambda_of[answered]
        if os.environ.get("REGIMES", "1") == "1":
            parts.append((weight, _by_regimes(observations, answered, asked, strata, known, lambdas, [tails[i] for i in answered], tails, draws, random)))
            continue
        own = _ProbeCurves(
            cells.of(answered, asked),
            strata,
            known,
            lambdas,
            [tails[i] for i in answered],
            draws,
            random,
        )
        parts.append((weight, own))
    if not parts and stored > len(observations):
        raise CurveError(
            f"{stored - len(observations)} of {stored} responses could not be scored, and no λ has "
            "any other: the study's log says why"
        )
    if not parts:
        raise CurveError("no λ has rollouts on search problems yet: let the study run on")
    total = sum(weight for weight, _ in parts)
    shares = [(weight / total, part) for weight, part in parts]
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


def _by_regimes(observations, answered, asked, strata, known, lambdas, mine_tails, tails, draws, random):
    place_r = np.full(len(observations.recipes), -1); place_r[answered] = np.arange(len(answered))
    place_p = np.full(len(observations.problems), -1); place_p[asked] = np.arange(len(asked))
    rec, prob = place_r[observations.recipe], place_p[observations.problem]
    rows = (rec >= 0) & (prob >= 0)
    excess = np.array([t.excess for t in mine_tails])
    rec, prob = rec[rows], prob[rows]
    tokens = observations.tokens[rows] + excess[rec] * observations.truncated[rows]
    own = RegimeCurves(Rollouts(rec, prob, observations.score[rows].astype(float), tokens.astype(float), observations.thinking[rows], known, strata.stratum, strata.shares), lambdas, draws, random)
    flatk = np.column_stack([known, np.zeros(len(known))]); flatw = np.column_stack([lambdas, np.zeros(len(lambdas))])
    own.tail = posterior(_TAIL, flatk, np.array([t.log_ratio for t in mine_tails]), np.diag([t.error**2 for t in mine_tails]), flatw, 0.8).draws(random.standard_normal((draws, len(lambdas))))
    return own


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


def _parts_of_tokens(shares: "list[tuple[float, _ProbeCurves]]") -> list[Floats]:
    """The share of each probe in the mean tokens at every λ, arrays of shape (points,)."""
    means = [share * part.tokens.mean(axis=0) for share, part in shares]
    total = _sum(means)
    return [mean / total for mean in means]


@dataclass(frozen=True, slots=True)
class Strata:
    """The strata of a probe's asked problems, and their shares of all its search problems."""

    stratum: NDArray[np.int64]
    shares: Floats

    @classmethod
    def of(
        cls, names: list[str], problems: NDArray[np.int64], asked: NDArray[np.int64]
    ) -> "Strata":
        """The strata of ``asked``, from the names of all of a probe's search problems."""
        known, number = np.unique(names, return_inverse=True)
        shares = np.bincount(number, minlength=len(known)) / len(names)
        return cls(number[np.searchsorted(problems, asked)].astype(np.int64), shares)

    def responses(self, count: Floats, total: Floats, squares: Floats) -> Responses:
        """The sums of a measure with these strata."""
        return Responses(count, total, squares, self.stratum, self.shares)


class _ProbeCurves:
    """Draws of one probe's curves."""

    def __init__(
        self,
        cells: Cells,
        strata: Strata,
        known: Floats,
        lambdas: Floats,
        tails: list[LengthTail],
        draws: int,
        random: np.random.Generator,
    ) -> None:
        def normals() -> Floats:
            return random.standard_normal((draws, len(lambdas)))

        count = cells.count
        everywhere = np.concatenate([known, lambdas])
        flat = np.column_stack([everywhere, np.zeros(len(everywhere))])
        thinking = fit_mean(
            strata.responses(count, cells.thinking, cells.thinking),
            flat[: len(known)],
            flat,
            LOGIT,
            _THINKING,
            _bernoulli,
        )
        self.thinking = expit(thinking.curve.after(len(known)).draws(normals()))
        positions = np.column_stack([everywhere, expit(thinking.curve.mean)])
        seen, wanted = positions[: len(known)], positions[len(known) :]

        dispersion = _dispersion(count, cells.score, cells.score_squares)
        score = fit_mean(
            strata.responses(count, cells.score, cells.score_squares),
            seen,
            wanted,
            LOGIT,
            _SCORE,
            lambda means: dispersion * _bernoulli(means),
        )
        self.score = expit(score.curve.draws(normals()))
        slope = LOGIT.slope(expit(score.curve.mean))
        self.score_covariance = np.outer(slope, slope) * score.curve.covariance
        self.score_variance = np.interp(lambdas, known, score.variance)

        excess = np.array([tail.excess for tail in tails])[:, None]
        caps = np.array([tail.cap for tail in tails])[:, None]
        lengths = strata.responses(
            count,
            cells.tokens + excess * cells.truncated,
            cells.token_squares + cells.truncated * (2 * caps + excess) * excess,
        )
        tokens = fit_mean(
            lengths,
            seen,
            wanted,
            LOG,
            _TOKENS,
            lambda means: _relative_variance(lengths, means) * means**2,
        )
        self.tokens = np.exp(tokens.curve.draws(normals()))
        self.log_tokens_covariance = tokens.curve.covariance
        self.tokens_variance = np.interp(lambdas, known, tokens.variance / tokens.means**2)
        self.tail = posterior(
            _TAIL,
            seen,
            np.array([tail.log_ratio for tail in tails]),
            np.diag([tail.error**2 for tail in tails]),
            wanted,
            0.8,
        ).draws(normals())


def _bernoulli(means: Floats) -> Floats:
    return means * (1 - means)


def _dispersion(count: Floats, total: Floats, squares: Floats) -> float:
    """The variance of a score relative to that of a yes-or-no score with the same mean."""
    rollouts = count.sum(axis=1)
    means = total.sum(axis=1) / rollouts
    found = (squares.sum(axis=1) - rollouts * means**2).sum()
    possible = (rollouts * _bernoulli(means)).sum()
    return float(np.clip((found + 1.0) / (possible + 1.0), 0.02, 1.0))


def _relative_variance(lengths: Responses, means: Floats) -> Floats:
    """The variance of one length relative to the squared mean, shape (recipes,).

    Around the means of the curve and not the recipe's own: among few skewed lengths a small mean
    comes with a small spread, and would pass for certain. Pooled where a recipe has few.
    """
    rollouts = lengths.count.sum(axis=1)
    total, squares = lengths.total.sum(axis=1), lengths.squares.sum(axis=1)
    deviations = squares / means**2 - 2 * total / means + rollouts
    known = float(rollouts.sum())
    freedom = known - min(_FREEDOM, known / 2)
    pooled = (float(deviations.sum()) + _LENGTH_VARIANCE * _PRIOR_ROLLOUTS) / (
        freedom + _PRIOR_ROLLOUTS
    )
    own = (deviations + _OWN_ROLLOUTS * pooled) / (rollouts + _OWN_ROLLOUTS)
    return np.asarray(own, dtype=np.float64)
