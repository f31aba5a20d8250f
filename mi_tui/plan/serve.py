"""The plan of a server with λ per request: its efforts, and what was measured of them."""

import bisect
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from mi_tui.plan.base import Plan
from mi_tui.plan.recipe import Decoding, Lambda, LambdaRule
from mi_tui.plan.scope import Scope

NO_THINKING = ("none", "minimal")
LOW, MEDIUM, HIGH = "low", "medium", "high"
"""The values of ``reasoning_effort`` that every exported plan has a λ for."""

_EFFORT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")
_MOST_EFFORTS = 32
_MOST_RULES = 64
_MOST_POINTS = 1001


def _is_effort(value: str) -> str:
    if not _EFFORT.fullmatch(value):
        raise ValueError("name an effort with a-z, 0-9, - and _, a letter first, at most 32 long")
    return value


def _is_name(value: str) -> str:
    if value and not _NAME.fullmatch(value):
        raise ValueError("name a model with letters, digits, points and hyphens, at most 80 long")
    return value


def _is_unset(value: object) -> bool:
    return value is None or value == ""


def _is_empty(value: object) -> bool:
    return not value


EffortName = Annotated[str, AfterValidator(_is_effort)]
"""What stands behind ``@`` in a model's name, and in ``reasoning_effort``."""

ModelName = Annotated[str, AfterValidator(_is_name)]
"""A model's name without ``@``, which separates λ from it; empty where the title gives it."""


class MeasuredPoint(Plan):
    """Score in [0, 1] and tokens per response at one λ, each with the ends of its interval."""

    lambda_: Lambda = Field(alias="lambda")
    score: float
    score_low: float
    score_high: float
    tokens: float
    tokens_low: float
    tokens_high: float


class MeasuredCurve(Plan):
    """Score and tokens over λ, as a study measured them: equally long rows, λ increasing."""

    lambdas: tuple[Lambda, ...] = Field(alias="lambda", max_length=_MOST_POINTS)
    score: tuple[float, ...]
    score_low: tuple[float, ...]
    score_high: tuple[float, ...]
    tokens: tuple[float, ...]
    tokens_low: tuple[float, ...]
    tokens_high: tuple[float, ...]

    @model_validator(mode="after")
    def _is_a_curve(self) -> "MeasuredCurve":
        if {len(row) for row in self._rows} != {len(self.lambdas)} or not self.lambdas:
            raise ValueError("every row of the curve has as many numbers as lambda, and some")
        if any(a >= b for a, b in zip(self.lambdas, self.lambdas[1:], strict=False)):
            raise ValueError("lambda must increase along the curve")
        return self

    @property
    def _rows(self) -> tuple[tuple[float, ...], ...]:
        return (
            self.score,
            self.score_low,
            self.score_high,
            self.tokens,
            self.tokens_low,
            self.tokens_high,
        )

    def points(self) -> Iterator[MeasuredPoint]:
        """The points, in the order of λ."""
        return map(self._point, self.lambdas, zip(*self._rows, strict=True))

    def at(self, lambda_: float) -> MeasuredPoint | None:
        """The curve at a λ, straight between two points; ``None`` outside of what was measured."""
        right = bisect.bisect_left(self.lambdas, lambda_)
        if right < len(self.lambdas) and self.lambdas[right] == lambda_:
            return self._point(lambda_, tuple(row[right] for row in self._rows))
        if not 0 < right < len(self.lambdas):
            return None
        low, high = self.lambdas[right - 1], self.lambdas[right]
        share = (lambda_ - low) / (high - low)
        between = ((1 - share) * row[right - 1] + share * row[right] for row in self._rows)
        return self._point(lambda_, tuple(between))

    @staticmethod
    def _point(lambda_: float, numbers: tuple[float, ...]) -> MeasuredPoint:
        score, score_low, score_high, tokens, tokens_low, tokens_high = numbers
        return MeasuredPoint(
            lambda_=lambda_,
            score=score,
            score_low=score_low,
            score_high=score_high,
            tokens=tokens,
            tokens_low=tokens_low,
            tokens_high=tokens_high,
        )


class ServedRecipe(Plan):
    """A recipe with more than one λ: that of all parts for which no rule says another."""

    lambda_: Lambda = Field(alias="lambda")
    rules: tuple[LambdaRule, ...] = Field(min_length=1, max_length=_MOST_RULES)


class ServePlan(Plan):
    """How a pair is served with λ per request: the table ``[serve]`` of a preset.

    ``lambda_`` is that of requests that name none. ``efforts`` give names to λ; they may be
    edited. ``measured`` is what a study found, from which an effort's score and length are read:
    an effort that is moved has those of its new λ. ``recipes`` give names, beside those of the
    efforts, to recipes with more than one λ, of which nothing is measured here. ``scope`` and
    ``decoding`` are the preset's unless they are set; ``name`` is made of its title.
    """

    name: ModelName = Field(default="", exclude_if=_is_unset)
    lambda_: Lambda = Field(alias="lambda")
    efforts: dict[EffortName, Lambda] = Field(default_factory=dict, max_length=_MOST_EFFORTS)
    recipes: dict[EffortName, ServedRecipe] = Field(
        default_factory=dict, max_length=_MOST_EFFORTS, exclude_if=_is_empty
    )
    scope: Scope | None = Field(default=None, exclude_if=_is_unset)
    decoding: Decoding | None = Field(default=None, exclude_if=_is_unset)
    measured: MeasuredCurve | None = Field(default=None, exclude_if=_is_unset)

    @model_validator(mode="after")
    def _names_stand_for_one(self) -> "ServePlan":
        if twice := sorted(self.efforts.keys() & self.recipes.keys()):
            raise ValueError(f"{twice[0]} is an effort and a recipe: name one of them otherwise")
        return self

    def measured_at(self, lambda_: float) -> MeasuredPoint | None:
        """What was measured at a λ; ``None`` where nothing was."""
        return None if self.measured is None else self.measured.at(lambda_)
