"""Results of a study as frozen data: estimates, summaries, curves, the recommendation.

Scores, shares and rates lie in [0, 1]; tokens are per response; times are in seconds.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mi_tui.plan.base import Plan
from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Lambda, Recipe
from mi_tui.text.notebook import html_table, html_text

Stage = Literal[1, 2, 3]

Remark = Literal[
    "floor",
    "ceiling",
    "no-difference",
    "shortest-alike",
    "limit-above-cap",
    "thinking-best",
    "not-scored",
    "some-not-scored",
]
"""What is to be known of an answer beside its numbers.

``floor``: no λ solves more than a few per cent, so that nothing is recommended. ``ceiling``: every
λ solves nearly all. ``no-difference``: no score of the λ that meet the limit differs significantly
from another, and the answer is the shortest. ``shortest-alike``: another λ scores a little higher,
by less than the tolerance and not significantly; the answer is the shortest such.
``limit-above-cap``: the limit is no smaller than the cap of every probe, and no response can reach
it.
``thinking-best``: Thinking itself, λ = 1, is the answer. ``some-not-scored``: so many responses
could not be scored that the scores are to be doubted; ``not-scored``: so many that nothing is
recommended.
"""


def _is_empty(value: object) -> bool:
    return not value


class Estimate(Plan):
    """A number with the ends of its interval (95 % unless the context says otherwise)."""

    value: float
    low: float
    high: float


class RecipeSummary(Plan):
    """One row of the results table: the measures of one recipe (paper, section 3).

    ``score`` is Mean@k with k = ``samples``, an average over problems and weighted by probe.
    ``samples`` is the fewest samples of any problem asked; ``pass_at_k`` and ``vote_at_k`` are
    ``None`` while it is one. ``vote_ties`` is the share of problems on which several answers
    won the vote, ``vote_no_answer`` that of problems where no response had one. ``tokens``
    counts truncated responses at the cap; ``tokens_censored`` warns that so many were cut that
    the length is a lower bound. ``tokens_p50``, ``tokens_p95`` and ``truncated`` are the values
    of the estimates named after them. ``preliminary`` is a row of which no round is complete:
    the short responses come first, so that its intervals hold nothing. ``not_scored`` of the
    ``rollouts`` could not be scored; no measure counts them.
    """

    recipe: Recipe
    rollouts: int
    problems: int
    samples: int
    score: Estimate
    pass_at_k: Estimate | None = None
    vote_at_k: Estimate | None = None
    vote_ties: Estimate | None = None
    vote_no_answer: Estimate | None = None
    think_ratio: Estimate
    tokens: Estimate
    tokens_p50: float
    tokens_p50_interval: Estimate
    tokens_p95: float
    tokens_p95_interval: Estimate
    truncated: float
    truncated_interval: Estimate
    tokens_censored: bool = False
    seconds: Estimate | None = None
    seconds_p95: Estimate | None = None
    stage: Stage | None = None
    preliminary: bool = False
    not_scored: int = 0


class PairedDifference(Plan):
    """What changes from recipe ``second`` to ``first``, over the problems that both answered.

    ``score`` and ``think_ratio`` are ``first − second``; ``tokens_ratio`` is
    ``first / second``.
    """

    first: Recipe
    second: Recipe
    problems: int
    score: Estimate
    think_ratio: Estimate
    tokens_ratio: Estimate


class Curve(Plan):
    """The joint model over λ: points of equal count, with pointwise 95 % bands."""

    lambdas: tuple[float, ...] = ()
    score: tuple[Estimate, ...] = ()
    tokens: tuple[Estimate, ...] = ()
    think_ratio: tuple[Estimate, ...] = ()


class StageLimits(Plan):
    """Where stage 2 begins and ends on the λ axis; ``None`` where the data show no limit."""

    first: Estimate | None = None
    second: Estimate | None = None


class Alternative(Plan):
    """Another point of the front of score against length, and one sentence on it."""

    lambda_: Lambda = Field(alias="lambda")
    score: Estimate
    tokens: Estimate
    sentence: str


class Confirmation(Plan):
    """The recommended recipe measured again on the held-out problems, in the export dtype."""

    dtype: str
    rollouts: int
    score: Estimate
    tokens: Estimate
    rival: Lambda | None = None
    rival_score: Estimate | None = None
    sentence: str


class LimitAlone(Plan):
    """The answer if one of several limits were the only one."""

    lambda_: Lambda = Field(alias="lambda")
    feasible: bool
    probability: float
    score: Estimate
    tokens: Estimate


class LimitOutcome(Plan):
    """One of several limits, or a limit on one probe, at the recommended λ.

    ``limit`` is its short form; ``probability`` that of keeping it, whatever the others;
    ``measured`` what it limits, in its unit. ``binds``: without it the answer would gain most.
    ``loosened`` is the limit a tenth looser, ``loosened_lambda`` the λ that it would give,
    ``loosened_feasible`` whether that keeps all limits, and ``gain`` what it gives more: score,
    or for objectives in tokens the share of the tokens saved.
    """

    limit: str
    probability: float
    measured: Estimate | None = None
    binds: bool = False
    loosened: str
    loosened_lambda: Lambda
    loosened_feasible: bool
    gain: float
    alone: LimitAlone | None = None


class CapComparison(Plan):
    """Mixing against Thinking with a capped thought, at the capped row's mean length.

    ``difference`` is the score of mixing minus the row's, paired over ``problems``; mixing is to
    answer with either of the two ``lambdas``, in the share that gives the row's length.
    """

    recipe: Recipe
    tokens: Estimate
    score: Estimate
    lambdas: tuple[Lambda, Lambda]
    difference: Estimate
    problems: int
    sentence: str


class Recommendation(Plan):
    """The answer to a budget.

    ``lambda_`` has two decimals; ``lambda_low`` and ``lambda_high`` bound its 95 % credible
    interval. ``probability`` is that of meeting the budget, ``expected_loss`` the expected score
    (for token objectives: the expected share of tokens) lost against the best feasible λ.
    ``feasible`` is false when no λ meets the budget with the wanted confidence: the answer is
    then the nearest to it, and ``nearest_budget`` the nearest budget that can be met. ``resolved``
    is false when the data cannot decide: ``more_rollouts`` and ``more_seconds`` then say about
    what would. ``remarks`` say what else is to be known; ``recommended`` is false where nothing is
    recommended, because hardly any problem is solved or too many responses could not be scored
    (``not_scored`` is their share): ``lambda_`` is then of no meaning.
    """

    budget: Budget
    recipe: Recipe
    lambda_: Lambda = Field(alias="lambda")
    lambda_low: float
    lambda_high: float
    score: Estimate
    tokens: Estimate
    seconds: Estimate | None = None
    think_ratio: Estimate
    probability: float
    expected_loss: float
    feasible: bool
    nearest_budget: Budget | None = None
    resolved: bool
    more_rollouts: int | None = None
    more_seconds: float | None = None
    recommended: bool = True
    not_scored: float = 0.0
    remarks: tuple[Remark, ...] = ()
    stage: Stage | None = None
    stage_limits: StageLimits = StageLimits()
    tokens_saved: Estimate
    """Share of Thinking's tokens that the recipe saves."""
    score_given_up: Estimate
    """Thinking's score minus the recipe's; negative when the recipe is better."""
    alternatives: tuple[Alternative, ...] = ()
    limits: tuple[LimitOutcome, ...] = Field(default=(), exclude_if=_is_empty)
    """Each limit, where there are several or one on a probe alone."""
    against_caps: tuple[CapComparison, ...] = Field(default=(), exclude_if=_is_empty)
    """Mixing against each row of Thinking with a capped thought."""
    confirmation: Confirmation | None = None
    curve: Curve = Curve()
    sentence: str
    """The answer in plain words, one sentence."""

    @property
    def decided(self) -> bool:
        """Whether a λ is recommended that keeps the budget, and more rollouts are not needed."""
        return self.recommended and self.feasible and self.resolved

    @property
    def row_key(self) -> str | None:
        """The key of the recommended recipe; ``None`` where nothing is recommended."""
        return self.recipe.key if self.recommended else None

    def __str__(self) -> str:
        return self.sentence

    def __repr__(self) -> str:
        state = "resolved" if self.resolved else "not resolved"
        if not self.recommended:
            return f"<Recommendation of nothing for {self.budget.spec}>"
        return f"<Recommendation {self.recipe.label} for {self.budget.spec}: {state}>"

    def _repr_html_(self) -> str:
        measured = (
            ("λ", Estimate(value=self.lambda_, low=self.lambda_low, high=self.lambda_high)),
            ("score", self.score),
            ("tokens", self.tokens),
            ("seconds", self.seconds),
            ("think ratio", self.think_ratio),
        )
        rows = [(name, *map(_short, (e.value, e.low, e.high))) for name, e in measured if e]
        return html_text(self.sentence) + html_table(("", "estimate", "low", "high"), rows)


def _short(value: float) -> str:
    return f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """Measured speed of the single merged model at one concurrency; times in seconds.

    ``time_per_output_token`` is that of a short context; each token of context before it makes
    an output token ``time_per_context_token`` longer (attention; 0 where not measured).
    """

    concurrency: int
    time_to_first_token: float
    time_per_output_token: float
    time_per_context_token: float = 0.0
