"""The objectives that a budget can have: names, limits and words, and their registry."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from mi_tui.registry import Registry

Statistic = Literal["mean", "p95"]
"""Whether a limit holds on average, or for 95 % of responses."""

HELD: Mapping[Statistic, str] = MappingProxyType(
    {"mean": "on average", "p95": "for 95 % of responses"}
)
"""How a statistic is said."""

Axis = Literal["tokens", "seconds", "score"]
"""A measure that limits can be drawn on: tokens or seconds per response, score from 0 to 1."""

_SHORT = re.compile(
    r"(?:(p95|mean)\s+)?([a-z][a-z0-9-]*)\s*(?:\[([^\[\]]+)\])?\s*(<=|>=)\s*([\d.]+)\s*(%?)"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """The number of an objective: what it limits, its range, how it is written and read.

    Args:
        quantity: what is limited, the word of the short form: ``tokens`` in ``tokens<=2000``.
        sign: the sign of the short form.
        unit: what stands behind the form's field.
        default: a limit to begin with.
        most: the largest limit; the least is above 0.
        percent: whether forms show and take 100 times the limit.
        short_percent: the same of the short form, with a ``%`` behind it.
        axis: the measure on whose axis plots draw the limit; ``None`` draws none.
        words: the limit beside others, in which ``{limit}`` and ``{held}`` are filled in as in
            :attr:`Objective.words`; empty for the short form.
    """

    quantity: str
    sign: Literal["<=", ">="]
    unit: str
    default: float
    most: float = math.inf
    percent: bool = False
    short_percent: bool = False
    axis: Axis | None = None
    words: str = ""

    @property
    def scale(self) -> float:
        """What a limit is multiplied with in a form."""
        return 100 if self.percent else 1

    @property
    def most_in_form(self) -> float | None:
        """The largest number that a form takes; ``None`` where there is none."""
        return None if math.isinf(self.most) else self.scale * self.most

    def form_text(self, limit: float) -> str:
        """The limit as it stands in a form."""
        return f"{self.scale * limit:g}"

    def short(self, limit: float, probe: str | None = None) -> str:
        """The short form, read back exactly."""
        number = f"{100 * limit:.12g}%" if self.short_percent else format(limit, ".15g")
        return f"{self.quantity}{f'[{probe}]' if probe else ''}{self.sign}{number}"


class Reading(NamedTuple):
    """What a short form says: limit, statistic, and the probe that the limit is on."""

    limit: float | None
    statistic: Statistic
    probe: str | None


class Objective:
    """What a budget asks for, as far as presets, command line and forms must know.

    How it is decided is declared by its subclass
    :class:`mi_tui.analysis.recommendation.objective.CurveObjective`, which every entry of
    :data:`OBJECTIVES` is.

    Attributes:
        name: the name in presets.
        order: the place in lists.
        title: the name on the Budget step.
        summary: what stands behind the title, a few words.
        words: the question in plain words, in which ``{limit}`` and ``{held}`` (on average, or
            for 95 % of responses) are filled in; a format such as ``{limit:.1%}`` may follow.
        limit: its limit, or ``None`` for an objective without one.
        takes_statistic: whether the limit holds on average or for 95 % of responses, as the
            user likes.
        remark: what help and errors say in brackets behind the example, if anything.
    """

    name: str
    order: int = 100
    title: str
    summary: str
    words: str
    limit: Limit | None = None
    takes_statistic: bool = False
    remark: str = ""

    def in_words(self, limit: float | None, statistic: Statistic, probe: str | None = None) -> str:
        """The question in plain words."""
        spelled = None if limit is None else _Spelled(limit)
        words = self.words.format(limit=spelled, held=HELD[statistic])
        return f"{words} on {probe}" if probe else words

    def limit_in_words(self, limit: float, statistic: Statistic, probe: str | None = None) -> str:
        """The limit alone, as it stands beside others."""
        if self.limit is None or not self.limit.words:
            return self.short(limit, statistic, probe)
        words = self.limit.words.format(limit=_Spelled(limit), held=HELD[statistic])
        return f"{words} on {probe}" if probe else words

    @property
    def example(self) -> str:
        """The short form with the default limit."""
        return self.short(None if self.limit is None else self.limit.default, "mean")

    def short(self, limit: float | None, statistic: Statistic, probe: str | None = None) -> str:
        """The short form, as on the command line: ``p95 tokens<=2000``, or the bare name."""
        if self.limit is None or limit is None:
            return self.name
        p95 = "p95 " if self.takes_statistic and statistic == "p95" else ""
        return p95 + self.limit.short(limit, probe)

    def read(self, text: str) -> Reading | None:
        """What a short form says; ``None`` when it is not this objective's."""
        if self.limit is None:
            return Reading(None, "mean", None) if text.strip() == self.name else None
        parts = ShortForm.of(text)
        if parts is None or (parts.quantity, parts.sign) != (self.limit.quantity, self.limit.sign):
            return None
        if parts.percent != self.limit.short_percent:
            return None
        if parts.statistic is not None and not self.takes_statistic:
            return None
        limit = parts.number / (100 if parts.percent else 1)
        return Reading(limit, parts.statistic or "mean", parts.probe)

    def check(self, limit: float | None) -> None:
        """Refuse a limit that the objective cannot have.

        Raises:
            ValueError: it needs one, takes none, or one in another range.
        """
        if self.limit is None:
            if limit is not None:
                raise ValueError(f"{self.name} takes no limit")
        elif limit is None:
            raise ValueError(f"{self.name} needs a limit")
        elif limit > self.limit.most:
            most = f"{self.limit.most:g}"
            raise ValueError(f"{self.name} takes a limit from 0 to {most}, not {limit:g}")


class _Spelled(float):
    """A limit that a format such as ``:.1%`` spells as every other share: ``80.0 %``."""

    def __format__(self, spec: str) -> str:
        text = super().__format__(spec)
        return f"{text[:-1]} %" if spec.endswith("%") else text


@dataclass(frozen=True, slots=True)
class ShortForm:
    """The parts of a short form such as ``p95 tokens<=2000`` or ``score[aime25]>=95%``."""

    statistic: Statistic | None
    quantity: str
    probe: str | None
    sign: str
    number: float
    percent: bool

    @classmethod
    def of(cls, text: str) -> "ShortForm | None":
        """The parts of a text; ``None`` when it does not have them."""
        match = _SHORT.fullmatch(text.strip())
        if match is None:
            return None
        try:
            number = float(match[5])
        except ValueError:
            return None
        statistic: Statistic | None = None
        if match[1]:
            statistic = "p95" if match[1] == "p95" else "mean"
        probe = match[3] and match[3].strip()
        return cls(statistic, match[2], probe or None, match[4], number, bool(match[6]))


OBJECTIVES: Registry[Objective] = Registry("mi_tui.analysis.recommendation.objectives", "objective")
"""Every objective, by the name that presets give it."""


def examples(*, remarks: bool = False) -> tuple[str, ...]:
    """A short form of every objective, those with a limit first; with their remarks if wanted."""
    ordered = sorted(OBJECTIVES, key=lambda objective: objective.limit is None)
    return tuple(
        f"{objective.example} ({objective.remark})"
        if remarks and objective.remark
        else objective.example
        for objective in ordered
    )
