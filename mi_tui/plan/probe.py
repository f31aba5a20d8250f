"""Which problems a study asks: one plan per kind of probe."""

from typing import Annotated, Literal

from pydantic import Field

from mi_tui.plan.base import Plan


class ProbePlan(Plan):
    """What every probe has, whatever its source.

    ``problems`` limits how many are drawn (``None``: all there are); ``seed`` draws them and
    splits them; ``held_out`` is the share kept for confirming the recommendation; ``weight`` is
    the probe's share of the study's score; ``max_new_tokens`` is the cap at which a response is
    cut.
    """

    name: str = Field(default="", max_length=60)
    problems: int | None = Field(default=None, ge=2)
    seed: int = Field(default=0, ge=0)
    held_out: float = Field(default=0.25, ge=0.0, lt=1.0)
    weight: float = Field(default=1.0, gt=0.0)
    max_new_tokens: int = Field(default=32768, ge=1)


class ArithmeticProbe(ProbePlan):
    """Chains of + − × modulo 100, generated from the seed; needs no download."""

    kind: Literal["arithmetic"]
    operations: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        default=(2, 3, 4, 5), min_length=1
    )


AnyProbe = ArithmeticProbe
"""The union of all probe plans, told apart by ``kind``."""
