"""The measures of each recipe: Mean@k, Pass@k, Vote@k, Think #R, Token #N, truncation, time.

Sources: Mean@k, Think #R and Token #N as in arXiv 2510.10977, section 3; Pass@k is the
unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, equation 1). Held-out problems do not
enter: they confirm a recommendation, and would be no like-for-like comparison here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.analysis.results import Estimate, PairedDifference, RecipeSummary
from mi_tui.analysis.statistics import intervals, these_problems
from mi_tui.analysis.statistics.cells import Cells, Floats, aggregate, problem_weights, searched
from mi_tui.analysis.statistics.quantiles import quantile_intervals
from mi_tui.analysis.statistics.stages import stage_of
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import About

CENSORED = 0.05
"""The truncation rate from which a mean length is called a lower bound."""


class MetricError(MiTuiError):
    """A measure that the rollouts at hand do not define."""


def summarise(
    observations: Observations,
    *,
    latency: Latency | None = None,
    about: About = "new-problems",
) -> tuple[RecipeSummary, ...]:
    """One row for each recipe with scored rollouts on search problems, in the recipes' order.

    Args:
        observations: the study's rollouts.
        latency: the speed of the merged model; without it the rows have no seconds.
        about: whether the intervals of score, think ratio, truncation and mean length speak of
            problems like these, or of these problems themselves; the others always of the former.
    """
    rows = observations.where(searched(observations.problems)[observations.problem])
    order = np.argsort(rows.recipe, kind="stable")
    rows = rows.where(order)
    missing = np.bincount(rows.recipe[rows.not_scored], minlength=len(rows.recipes))
    rows = rows.scored()
    ends = np.searchsorted(rows.recipe, np.arange(len(rows.recipes) + 1))
    cells = aggregate(rows)
    return tuple(
        _summary(
            recipe,
            _slice(rows, int(ends[recipe]), int(ends[recipe + 1])),
            cells,
            latency,
            int(missing[recipe]),
            about,
        )
        for recipe in range(len(rows.recipes))
        if ends[recipe + 1] > ends[recipe]
    )


def paired_difference(
    observations: Observations,
    first: int,
    second: int,
    *,
    level: float = 0.95,
    about: About = "new-problems",
) -> PairedDifference:
    """What changes from recipe ``second`` to recipe ``first``, over the problems both answered.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        first: the index of one recipe.
        second: the index of the recipe it is compared with.
        level: the level of the intervals.
        about: whether they speak of problems like these, or of these problems themselves.

    Raises:
        MetricError: the two recipes share no problem.
    """
    cells = aggregate(observations)
    both = (cells.count[first] > 0) & (cells.count[second] > 0)
    both &= searched(observations.problems)
    recipes = observations.recipes
    if not both.any():
        raise MetricError(
            f"{recipes[first].label} and {recipes[second].label} have no problem in common:"
            " run both on the same probe"
        )
    weights = problem_weights(observations.problems, both)[both]
    if about == "these-problems":
        return _difference_here(observations, cells, (first, second), both, weights, level)
    counts = cells.count[:, both]
    samples = float(np.minimum(counts[first], counts[second]).mean())

    def shares(sums: Floats) -> tuple[Floats, Floats]:
        means = sums[:, both] / np.maximum(counts, 1)
        return means[first], means[second]

    return PairedDifference(
        first=recipes[first],
        second=recipes[second],
        problems=int(both.sum()),
        score=intervals.difference_interval(*shares(cells.score), weights, samples, level),
        think_ratio=intervals.difference_interval(*shares(cells.thinking), weights, samples, level),
        tokens_ratio=intervals.ratio_interval(*shares(cells.tokens), weights, level),
    )


def _difference_here(
    observations: Observations,
    cells: Cells,
    compared: tuple[int, int],
    both: NDArray[np.bool_],
    weights: Floats,
    level: float,
) -> PairedDifference:
    """The difference over the problems that both answered, themselves."""
    left_out = these_problems.not_asked(observations.problems, both)

    def sampled(name: str) -> tuple[these_problems.Sampled, these_problems.Sampled]:
        one, other = (_sampled(cells, name, recipe, both) for recipe in compared)
        return one, other

    def difference(name: str) -> Estimate:
        return these_problems.difference_interval(*sampled(name), weights, left_out, level)

    first, second = (observations.recipes[recipe] for recipe in compared)
    return PairedDifference(
        first=first,
        second=second,
        problems=int(both.sum()),
        score=difference("score"),
        think_ratio=difference("thinking"),
        tokens_ratio=these_problems.ratio_interval(*sampled("tokens"), weights, left_out, level),
    )


def pass_at_k(counts: Floats, correct: Floats, k: int) -> Floats:
    """The unbiased Pass@k of each problem, 1 − C(n − c, k) / C(n, k).

    Args:
        counts: samples n per problem, whole numbers, shape (problems,).
        correct: correct samples c per problem, whole numbers.
        k: how many samples are drawn, at least one.

    Raises:
        MetricError: a problem has fewer than k samples, where Pass@k is not defined.
    """
    if k < 1 or (len(counts) and counts.min() < k):
        fewest = int(counts.min()) if len(counts) else 0
        raise MetricError(f"Pass@{k} is not defined for {fewest} samples: draw at least {k}")
    # C(n−c, k) / C(n, k) as a product of k factors: exact enough for any n, and no overflow.
    steps = np.arange(k)
    factors = 1.0 - correct[:, None] / (counts[:, None] - steps)
    failing: Floats = np.prod(np.clip(factors, 0.0, 1.0), axis=1)
    return np.asarray(1.0 - failing, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Votes:
    """The outcome of the vote on each problem, in the order of the problem indices given.

    ``value`` is the accuracy of the most frequent answer, the mean over the winners of a tie:
    what breaking it by chance is expected to give. Responses without an answer do not vote; a
    problem where none voted counts 0.
    """

    value: Floats
    tied: NDArray[np.bool_]
    unanswered: NDArray[np.bool_]


def vote(
    problem: NDArray[np.int64],
    answer: NDArray[np.int64],
    correct: NDArray[np.bool_],
    problems: int,
) -> Votes:
    """Majority vote over the extracted answers of each problem.

    Args:
        problem: the problem of each response, from 0 to ``problems`` − 1.
        answer: its answer's number, −1 for none.
        correct: whether the answer is right, the same for equal answers.
        problems: how many problems there are.
    """
    voting = answer >= 0
    span = int(answer.max(initial=0)) + 1
    ballots, names = np.unique(problem[voting] * span + answer[voting], return_inverse=True)
    votes = np.bincount(names, minlength=len(ballots))
    accuracy = np.bincount(names, weights=correct[voting], minlength=len(ballots)) / votes
    where = ballots // span
    most = np.zeros(problems, dtype=np.int64)
    np.maximum.at(most, where, votes)
    winning = votes == most[where]
    number = np.bincount(where[winning], minlength=problems)
    total = np.bincount(where[winning], weights=accuracy[winning], minlength=problems)
    value = total / np.maximum(number, 1)
    return Votes(value=value, tied=number > 1, unanswered=number == 0)


def _summary(
    recipe: int,
    rows: Observations,
    cells: Cells,
    latency: Latency | None,
    not_scored: int,
    about: About,
) -> RecipeSummary:
    asked = cells.count[recipe] > 0
    weights = problem_weights(rows.problems, asked)[asked]
    counts = cells.count[recipe, asked]
    samples = int(counts.min())
    of = _intervals(cells, recipe, asked, weights, rows.problems, about)
    tokens, think, truncated = of("tokens"), of("thinking"), of("truncated")
    place = np.cumsum(asked) - 1
    p50, p95 = quantile_intervals(
        place[rows.problem], rows.tokens, weights, (0.5, 0.95), _cap(rows, asked)
    )
    repeated = (
        _repeated(rows, cells.correct[recipe], asked, weights, samples) if samples > 1 else {}
    )
    return RecipeSummary(
        recipe=rows.recipes[recipe],
        rollouts=len(rows) + not_scored,
        not_scored=not_scored,
        problems=int(asked.sum()),
        samples=samples,
        score=of("score"),
        **repeated,
        think_ratio=think,
        tokens=tokens,
        tokens_p50=p50.value,
        tokens_p50_interval=p50,
        tokens_p95=p95.value,
        tokens_p95_interval=p95,
        truncated=truncated.value,
        truncated_interval=truncated,
        tokens_censored=truncated.value > CENSORED,
        seconds=latency.project(tokens) if latency else None,
        seconds_p95=latency.project(p95) if latency else None,
        stage=stage_of(think.value),
    )


def _intervals(
    cells: Cells,
    recipe: int,
    asked: NDArray[np.bool_],
    weights: Floats,
    problems: tuple[ProblemRow, ...],
    about: About,
) -> Callable[[str], Estimate]:
    """The interval of a measure of a recipe, by the measure's name in :class:`Cells`."""
    counts = cells.count[recipe, asked]

    def of_new(name: str) -> Estimate:
        means = getattr(cells, name)[recipe, asked] / counts
        if name == "tokens":
            return intervals.length_interval(means, weights)
        return intervals.share_interval(means, weights, float(counts.mean()))

    def of_these(name: str) -> Estimate:
        left_out = these_problems.not_asked(problems, asked)
        sampled = _sampled(cells, name, recipe, asked)
        if name == "tokens":
            return these_problems.length_interval(sampled, weights, left_out)
        return these_problems.share_interval(sampled, weights, left_out)

    return of_these if about == "these-problems" else of_new


_SQUARES = {"score": "score_squares", "tokens": "token_squares"}
"""Where the squares of a measure are; those of a yes or no are the measure itself."""


def _sampled(
    cells: Cells, name: str, recipe: int, asked: NDArray[np.bool_]
) -> these_problems.Sampled:
    total, squares = (
        getattr(cells, each)[recipe, asked] for each in (name, _SQUARES.get(name, name))
    )
    return these_problems.Sampled.of(
        cells.count[recipe, asked], total, squares, share=name != "tokens"
    )


def _repeated(
    rows: Observations, correct: Floats, asked: NDArray[np.bool_], weights: Floats, samples: int
) -> dict[str, Estimate]:
    """What several samples of a problem make together: Pass@k, Vote@k, its ties and silences."""
    counts = np.bincount(rows.problem, minlength=len(asked))[asked].astype(np.float64)
    votes = _vote(rows, asked, samples)
    shares = {
        "pass_at_k": pass_at_k(counts, correct[asked], samples),
        "vote_at_k": votes.value,
        "vote_ties": votes.tied.astype(np.float64),
        "vote_no_answer": votes.unanswered.astype(np.float64),
    }
    return {name: intervals.share_interval(values, weights, 1.0) for name, values in shares.items()}


def _cap(rows: Observations, asked: NDArray[np.bool_]) -> float:
    """The largest token cap of the problems asked."""
    return float(max(rows.problems[place].cap for place in np.flatnonzero(asked)))


def _vote(rows: Observations, asked: NDArray[np.bool_], k: int) -> Votes:
    """The vote over the first k samples of each asked problem."""
    place = np.cumsum(asked) - 1
    problem = place[rows.problem]
    answer, correct = rows.answer, rows.score >= 1.0
    if len(rows) != k * int(asked.sum()):
        order = np.lexsort((rows.sample, problem))
        starts = np.searchsorted(problem[order], np.arange(int(asked.sum())))
        rank = np.arange(len(order)) - starts[problem[order]]
        first = order[rank < k]
        problem, answer, correct = problem[first], answer[first], correct[first]
    return vote(problem, answer, correct, int(asked.sum()))


def _slice(rows: Observations, start: int, end: int) -> Observations:
    """The rows from ``start`` to ``end``, without copying a column."""
    return rows.where(slice(start, end))
