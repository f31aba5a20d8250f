"""Lengths of responses: 95th percentiles, and what the token cap has cut off."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.statistics.cells import Floats, problem_weights, searched

_FALLBACK_SD = 0.6
_OWN = 60.0


@dataclass(frozen=True, slots=True)
class LengthTail:
    """How one recipe's lengths end.

    ``log_ratio`` is log(95th percentile / mean), ``error`` its standard error. ``cap`` is the
    mean cap of the truncated responses, ``excess`` how many tokens beyond it they would on
    average have gone, under a log-normal tail; both are 0 when none was truncated.
    """

    log_ratio: float
    error: float
    cap: float
    excess: float


def length_tails(observations: Observations) -> list[LengthTail]:
    """The tail of every recipe's lengths on the search problems, in the recipes' order."""
    search = searched(observations.problems)
    rows = observations.where(search[observations.problem])
    # NumPy sorts 16-bit integers in linear time.
    narrow = np.uint16 if len(rows.recipes) < 2**16 else np.int64
    order = np.argsort(rows.recipe.astype(narrow), kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows.recipe, minlength=len(rows.recipes)))])
    caps = np.array([problem.cap for problem in rows.problems], dtype=np.float64)
    everything = np.ones(len(rows.problems), dtype=bool) & search
    shares = problem_weights(rows.problems, everything)
    tails = []
    for recipe in range(len(rows.recipes)):
        mine = order[ends[recipe] : ends[recipe + 1]]
        tokens = rows.tokens[mine].astype(np.float64)
        cut = rows.truncated[mine]
        tails.append(_tail(tokens, cut, shares[rows.problem[mine]], caps[rows.problem[mine]]))
    return tails


def _tail(tokens: Floats, cut: NDArray[np.bool_], weights: Floats, caps: Floats) -> LengthTail:
    n = len(tokens)
    if n == 0:
        return LengthTail(_normal_ratio(_FALLBACK_SD), 1.0, 0.0, 0.0)
    order = np.argsort(tokens)
    reached = np.cumsum(weights[order])
    reached /= reached[-1]
    logs = np.log(np.maximum(tokens[order], 1.0))

    def quantile(share: float) -> float:
        return float(logs[min(int(np.searchsorted(reached, share)), n - 1)])

    cap = excess = 0.0
    if cut.any():
        cap = float(caps[cut].mean())
        excess = _excess(float(cut.mean()), cap, quantile)
    lengths = tokens + excess * cut
    mean = float(np.average(lengths, weights=weights))
    sd = _spread(logs, n)
    measured = quantile(0.95) - math.log(mean) if n >= 20 else _normal_ratio(sd)
    blended = (n * measured + _OWN * _normal_ratio(sd)) / (n + _OWN)
    # The standard error of a normal sample's 95th percentile is 2.1 sd / √n.
    error = 2.1 * sd / math.sqrt(n) + (1.0 if cut.mean() > 0.05 else 0.0) * excess / mean
    return LengthTail(blended, max(error, 0.01), cap, excess)


def _spread(logs: Floats, n: int) -> float:
    """The standard deviation of the log lengths, drawn to a common value when few are known."""
    found = float(np.var(logs)) if n > 1 else 0.0
    return math.sqrt((n * found + 5 * _FALLBACK_SD**2) / (n + 5))


def _normal_ratio(sd: float) -> float:
    """log(95th percentile / mean) of a log-normal length."""
    return 1.645 * sd - sd * sd / 2


def _excess(share: float, cap: float, quantile: Callable[[float], float]) -> float:
    """The mean tokens beyond the cap of the share that reached it, under a log-normal tail.

    The tail's scale comes from the quantiles below the cap, its place from the share above.
    """
    from scipy.special import ndtr, ndtri  # imported here: SciPy takes longer than the rest

    below = 1 - share
    if below < 0.1:
        return cap
    low, high = 0.2 * below, 0.8 * below
    lower, upper = quantile(low), quantile(high)
    sd = float(np.clip((upper - lower) / (ndtri(high) - ndtri(low)), 0.1, 1.0))
    threshold = float(ndtri(below))
    centre = math.log(cap) - threshold * sd
    mean_above = math.exp(centre + sd * sd / 2) * float(ndtr(sd - threshold)) / share
    return float(np.clip(mean_above - cap, 0.0, cap))
