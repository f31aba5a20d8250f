"""Budgets: an objective and its limit."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mi_tui.errors import MiTuiError
from mi_tui.plan.base import Plan
from mi_tui.plan.objective import OBJECTIVES, Axis, ShortForm, Statistic, examples
from mi_tui.registry import UnknownNameError


class BudgetError(MiTuiError):
    """A budget that cannot be read."""


About = Literal["new-problems", "these-problems"]
"""What an answer is about: problems like those of the probes, of which they are a sample, or the
probes' problems themselves."""

ABOUT: Mapping[About, str] = MappingProxyType(
    {
        "new-problems": "new problems like these",
        "these-problems": "these problems themselves",
    }
)
"""How it is said."""


def _is_default(value: object) -> bool:
    return value == "new-problems"


class Budget(Plan):
    """An objective and its limit.

    ``objective`` is the name of one of :data:`mi_tui.plan.objective.OBJECTIVES`. The unit of
    ``limit`` follows it: tokens per response; seconds per response; a score from 0 to 1; a share
    of Thinking's score from 0 to 1; none for the knee. ``statistic`` says whether tokens and
    seconds are held on average or at the 95th percentile. ``confidence`` is the probability of
    meeting the limit that a recommendation must reach. ``about`` says whether score and length are
    meant over problems like those of the probes, or over these problems themselves, such as a
    benchmark of which the mean is reported.
    """

    objective: str = "knee"
    limit: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    statistic: Statistic = "mean"
    confidence: float = Field(default=0.9, gt=0.5, lt=1.0)
    # Left out by default: stored studies are found by the key of what they write.
    about: About = Field(default="new-problems", exclude_if=_is_default)

    @field_validator("objective")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            return OBJECTIVES[name].name
        except UnknownNameError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _limit_fits_objective(self) -> "Budget":
        OBJECTIVES[self.objective].check(self.limit)
        return self

    @property
    def in_words(self) -> str:
        """The question in plain words."""
        words = OBJECTIVES[self.objective].in_words(self.limit, self.statistic)
        return words if self.about == "new-problems" else f"{words}, over {ABOUT[self.about]}"

    @property
    def spec(self) -> str:
        """The short form that :func:`parse_budget` reads back."""
        return OBJECTIVES[self.objective].short(self.limit, self.statistic)

    @property
    def axis(self) -> Axis | None:
        """The measure that the limit is on; ``None`` without a limit on one."""
        limit = OBJECTIVES[self.objective].limit
        return None if limit is None else limit.axis


def parse_budget(text: str, confidence: float = 0.9, *, about: About = "new-problems") -> Budget:
    """Read the short form used on the command line.

    Args:
        text: the short form.
        confidence: the probability of meeting the limit that is wanted.
        about: what the answer is about.

    Raises:
        BudgetError: the text is none of the objectives' forms; the message has an example of
            each, and for ``score>=95`` asks whether ``score>=95%`` was meant.
    """
    for objective in OBJECTIVES:
        found = objective.read(text)
        if found is None:
            continue
        limit, statistic = found
        try:
            return Budget(
                objective=objective.name,
                limit=limit,
                statistic=statistic,
                confidence=confidence,
                about=about,
            )
        except ValueError:
            break
    *others, last = examples(remarks=True)
    raise BudgetError(
        f"budget {text!r} cannot be read: {_meant(text)}write {', '.join(others)} or {last}"
    )


def _meant(text: str) -> str:
    """A question for who wrote a share as per cent without the sign; else empty."""
    parts = ShortForm.of(text)
    if parts is None or parts.percent or parts.statistic or not 1.0 < parts.number <= 100.0:
        return ""
    limits = [
        objective.limit
        for objective in OBJECTIVES
        if objective.limit is not None
        and (objective.limit.quantity, objective.limit.sign) == (parts.quantity, parts.sign)
        and objective.limit.most == 1.0
    ]
    limits.sort(key=lambda limit: not limit.short_percent)
    forms = " or ".join(limit.short(parts.number / 100) for limit in limits)
    return f"did you mean {forms}? Otherwise " if forms else ""
