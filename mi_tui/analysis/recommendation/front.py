"""The Pareto front of score against length, and the alternatives on it."""

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.recommendation.decision import Decision
from mi_tui.analysis.results import Alternative, Estimate
from mi_tui.analysis.statistics.cells import Floats
from mi_tui.analysis.statistics.curve import Curves
from mi_tui.text.percent import percent

_APART = 0.045
_CHEAPER = (0.97, 0.90)
_AT_LEAST = 2


def pareto_front(score: Floats, tokens: Floats) -> NDArray[np.int64]:
    """The points that no other beats in both score and tokens, from short to long."""
    front: list[int] = []
    for point in np.lexsort((-score, tokens)):
        if not front or score[point] > score[front[-1]]:
            front.append(int(point))
    return np.array(front, dtype=np.int64)


def alternatives(curves: Curves, decision: Decision, level: float) -> tuple[Alternative, ...]:
    """Two or three other points of the front: the best score, and shorter ones that keep much.

    Points closer than 0.05 to the choice or to an earlier alternative are left out; where fewer
    than two are left, the point of the front that lies farthest from all of them is added. A front
    that is shorter than that has fewer alternatives.
    """
    score, tokens = curves.score.mean(axis=0), curves.tokens.mean(axis=0)
    front = pareto_front(score, tokens)
    wanted = [int(front[-1])]
    for share in _CHEAPER:
        enough = front[score[front] >= share * score[decision.chosen]]
        if len(enough):
            wanted.append(int(enough[0]))
    named: list[int] = [decision.chosen]
    for point in wanted:
        if all(abs(curves.lambdas[point] - curves.lambdas[other]) > _APART for other in named):
            named.append(point)
    while len(named) <= _AT_LEAST:
        apart = np.abs(curves.lambdas[front][:, None] - curves.lambdas[named]).min(axis=1)
        if apart.max() <= _APART:
            break
        named.append(int(front[apart.argmax()]))
    return tuple(_alternative(curves, decision.chosen, point, level) for point in named[1:])


def _alternative(curves: Curves, chosen: int, point: int, level: float) -> Alternative:
    lambda_ = float(curves.lambdas[point])
    points = 100 * (curves.score[:, point] - curves.score[:, chosen])
    ratio = curves.tokens[:, point] / curves.tokens[:, chosen]
    tail = (1 - level) / 2
    more, less = float(points.mean()), float(ratio.mean())
    low, high = np.quantile(points, [tail, 1 - tail])
    gain = f"{abs(more):.1f} points {'higher' if more >= 0 else 'lower'}"
    cost = f"{percent(abs(less - 1))} {'more' if less >= 1 else 'fewer'} tokens"
    return Alternative(
        lambda_=lambda_,
        score=_estimate(curves.score[:, point], tail),
        tokens=_estimate(curves.tokens[:, point], tail),
        sentence=f"λ = {lambda_:.2f} scores {gain} ({low:+.1f} to {high:+.1f}) with {cost}.",
    )


def _estimate(draws: Floats, tail: float) -> Estimate:
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value=float(draws.mean()), low=float(low), high=float(high))
