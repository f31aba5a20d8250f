"""What the user wants from λ: an objective and its limit."""

import re
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from mi_tui.errors import MiTuiError
from mi_tui.plan.base import Plan


class BudgetError(MiTuiError):
    """A budget that cannot be read."""


class Objective(StrEnum):
    """The question a recommendation answers."""

    WITHIN_TOKENS = "score-within-tokens"
    WITHIN_SECONDS = "score-within-seconds"
    FOR_SCORE = "fewest-tokens-for-score"
    FOR_SHARE = "fewest-tokens-for-share-of-thinking"
    KNEE = "knee"


class Budget(Plan):
    """An objective and its limit.

    The unit of ``limit`` follows the objective: tokens per response; seconds per response; a
    score from 0 to 1; a share of Thinking's score from 0 to 1; none for the knee.
    ``statistic`` says whether tokens and seconds are held on average or at the 95th percentile.
    ``confidence`` is the probability of meeting the limit that a recommendation must reach.
    """

    objective: Objective = Objective.KNEE
    limit: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    statistic: Literal["mean", "p95"] = "mean"
    confidence: float = Field(default=0.9, gt=0.5, lt=1.0)

    @model_validator(mode="after")
    def _limit_fits_objective(self) -> "Budget":
        if self.objective is Objective.KNEE:
            if self.limit is not None:
                raise ValueError("the knee takes no limit")
            return self
        if self.limit is None:
            raise ValueError(f"{self.objective} needs a limit")
        shares = (Objective.FOR_SCORE, Objective.FOR_SHARE)
        if self.objective in shares and self.limit > 1.0:
            raise ValueError(f"{self.objective} takes a limit from 0 to 1, not {self.limit:g}")
        return self

    @property
    def in_words(self) -> str:
        """The question in plain words."""
        limit = self.limit or 0.0
        per = "on average" if self.statistic == "mean" else "for 95 % of responses"
        return {
            Objective.WITHIN_TOKENS: f"highest score within {limit:g} tokens {per}",
            Objective.WITHIN_SECONDS: f"highest score within {limit:g} s {per}",
            Objective.FOR_SCORE: f"fewest tokens for a score of at least {limit:.1%}",
            Objective.FOR_SHARE: f"fewest tokens for at least {limit:.0%} of Thinking's score",
            Objective.KNEE: "the knee: where more tokens stop buying score",
        }[self.objective]

    @property
    def spec(self) -> str:
        """The short form that :func:`parse_budget` reads back."""
        p95 = "p95 " if self.statistic == "p95" else ""
        limit = "" if self.limit is None else format(self.limit, ".15g")
        return {
            Objective.WITHIN_TOKENS: f"{p95}tokens<={limit}",
            Objective.WITHIN_SECONDS: f"{p95}seconds<={limit}",
            Objective.FOR_SCORE: f"score>={limit}",
            Objective.FOR_SHARE: f"score>={100 * (self.limit or 0):.12g}%",
            Objective.KNEE: "knee",
        }[self.objective]


_SPEC = re.compile(r"(?:(p95|mean)\s+)?(tokens|seconds|score)\s*(<=|>=)\s*([\d.]+)\s*(%?)")
_ALLOWED = "write tokens<=2000, p95 seconds<=30, score>=0.8, score>=95% (of Thinking) or knee"


def parse_budget(text: str, confidence: float = 0.9) -> Budget:
    """Read the short form used on the command line.

    Raises:
        BudgetError: the text is none of the allowed forms.
    """
    if text.strip() == "knee":
        return Budget(confidence=confidence)
    match = _SPEC.fullmatch(text.strip())
    problem = f"budget {text!r} cannot be read: {_ALLOWED}"
    if match is None or (match[3] == ">=") != (match[2] == "score"):
        raise BudgetError(problem)
    statistic, quantity, _, number, percent = match.groups()
    if (percent and quantity != "score") or (statistic and quantity == "score"):
        raise BudgetError(problem)
    try:
        limit = float(number) / (100 if percent else 1)
        objective = {
            "tokens": Objective.WITHIN_TOKENS,
            "seconds": Objective.WITHIN_SECONDS,
            "score": Objective.FOR_SHARE if percent else Objective.FOR_SCORE,
        }[quantity]
        return Budget(
            objective=objective,
            limit=limit,
            statistic="p95" if statistic == "p95" else "mean",
            confidence=confidence,
        )
    except ValueError as error:
        raise BudgetError(problem) from error
