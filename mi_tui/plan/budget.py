"""Budgets: an objective, its limit, and further limits that hold together with it."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator

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

AND = " and "
"""What stands between the limits of a short form."""

_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_LIKE_A_LIMIT = re.compile(
    r"(?:(p95|mean)\s+)?([a-z]+)\s*(\[[^\[\]]+\])?\s*(<=|>=|=<|=>|≤|≥|<|>|=)\s*([\d.,_' ]+?)\s*(%?)"
)
_SIGNS = {"<": "<=", "=<": "<=", "≤": "<=", ">": ">=", "=>": ">=", "≥": ">="}
_SEPARATORS = re.compile(r"\s*(?:&&?|;|\+|,(?!\d))\s*")


def _is_default(value: object) -> bool:
    return value == "new-problems"


def _is_missing(value: object) -> bool:
    return not value


class Constraint(Plan):
    """A limit: the one of an objective, on the whole study or on one of its probes.

    It is written as its short form, such as ``p95 tokens[aime25]<=2000``. ``objective`` is the
    one whose limit it is; unit, range and statistic are as in :class:`Budget`.
    """

    objective: str
    limit: float = Field(gt=0.0, allow_inf_nan=False)
    statistic: Statistic = "mean"
    probe: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _parsed(value)
        if found is None or found["limit"] is None:
            raise ValueError(_no_limit(value))
        return found

    @model_validator(mode="after")
    def _limit_fits_objective(self) -> "Constraint":
        OBJECTIVES[self.objective].check(self.limit)
        return self

    @model_serializer
    def _as_text(self) -> str:
        return self.spec

    @property
    def spec(self) -> str:
        """The short form."""
        return OBJECTIVES[self.objective].short(self.limit, self.statistic, self.probe)

    @property
    def in_words(self) -> str:
        """The limit in plain words."""
        return OBJECTIVES[self.objective].limit_in_words(self.limit, self.statistic, self.probe)

    @property
    def axis(self) -> Axis | None:
        """The measure that the limit is on; ``None`` where plots draw none."""
        limit = OBJECTIVES[self.objective].limit
        return None if limit is None else limit.axis

    @property
    def subject(self) -> tuple[str, Statistic, str | None]:
        """What it limits; two limits of one budget differ in it."""
        return self.objective, self.statistic, self.probe


class Budget(Plan):
    """An objective and its limits.

    ``objective`` is the name of one of :data:`mi_tui.plan.objective.OBJECTIVES`. The unit of
    ``limit`` follows it: tokens per response; seconds per response; a score from 0 to 1; a share
    of Thinking's score from 0 to 1; none for the knee. ``statistic`` says whether tokens and
    seconds are held on average or at the 95th percentile; ``probe`` names the probe that the limit
    is on, where it is not the whole study. ``also`` are further limits. ``confidence`` is the
    probability of meeting all limits together that a recommendation must reach. ``about`` says
    whether score and length are meant over problems like those of the probes, or over these
    problems themselves, such as a benchmark of which the mean is reported.
    """

    objective: str = "knee"
    limit: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    statistic: Statistic = "mean"
    confidence: float = Field(default=0.9, gt=0.5, lt=1.0)
    # Left out by default: stored studies are found by the key of what they write.
    about: About = Field(default="new-problems", exclude_if=_is_default)
    probe: str | None = Field(default=None, min_length=1, exclude_if=_is_missing)
    also: tuple[Constraint, ...] = Field(default=(), exclude_if=_is_missing)

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
        if self.probe is not None and self.limit is None:
            raise ValueError(f"{self.objective} has no limit that could be on a probe")
        for subject, times in Counter(one.subject for one in self.limits).items():
            if times > 1:
                specs = [one.spec for one in self.limits if one.subject == subject]
                raise ValueError(f"{AND.join(specs)} limit the same: keep the tighter one")
        return self

    @property
    def limits(self) -> tuple[Constraint, ...]:
        """All limits, the objective's own first; none for the knee by itself."""
        if self.limit is None:
            return self.also
        own = Constraint(
            objective=self.objective, limit=self.limit, statistic=self.statistic, probe=self.probe
        )
        return (own, *self.also)

    def with_limits(self, limits: tuple[Constraint, ...]) -> "Budget":
        """The budget with other limits for the same objective, its own first where it has one."""
        if self.limit is None:
            return self.model_copy(update={"also": limits})
        own, *others = limits
        changed = {"limit": own.limit, "statistic": own.statistic, "probe": own.probe}
        return self.model_copy(update={**changed, "also": tuple(others)})

    @property
    def in_words(self) -> str:
        """The question in plain words."""
        objective = OBJECTIVES[self.objective]
        words = objective.in_words(self.limit, self.statistic, self.probe)
        if self.also:
            words += ", with " + AND.join(limit.in_words for limit in self.also)
        return words if self.about == "new-problems" else f"{words}, over {ABOUT[self.about]}"

    @property
    def spec(self) -> str:
        """The short form that :func:`parse_budget` reads back."""
        own = OBJECTIVES[self.objective].short(self.limit, self.statistic, self.probe)
        return AND.join([own, *(limit.spec for limit in self.also)])

    @property
    def axis(self) -> Axis | None:
        """The measure that the objective's limit is on; ``None`` without a limit on one."""
        limit = OBJECTIVES[self.objective].limit
        return None if limit is None else limit.axis


def parse_budget(text: str, confidence: float = 0.9, *, about: About = "new-problems") -> Budget:
    """Read the short form used on the command line.

    The first part names the objective, with its limit; the parts behind ``and`` are further
    limits. ``tokens[aime25]<=2000`` is a limit on one probe alone.

    Args:
        text: the short form.
        confidence: the probability of meeting the limits that is wanted.
        about: what the answer is about.

    Raises:
        BudgetError: the text is none of the objectives' forms; the message has an example of
            each, and for what looks like a slip, such as ``score>=95``, asks what was meant.
    """
    first, *others = _AND.split(text.strip())
    parts = [_parsed(part) for part in (first, *others)]
    for part, found in zip((first, *others), parts, strict=True):
        if found is None or (part is not first and found["limit"] is None):
            raise _unreadable(text, part, several=bool(others))
    own, *also = [found for found in parts if found is not None]
    try:
        return Budget(
            **own,
            confidence=confidence,
            about=about,
            also=tuple(Constraint(**found) for found in also),
        )
    except ValueError as error:
        if not others:
            raise _unreadable(text, first, several=False) from None
        raise BudgetError(f"budget {text!r}: {_reason(error)}") from None


def parse_limits(text: str) -> tuple[Constraint, ...]:
    """Limits in their short form, ``and`` between them; none of an empty text.

    Raises:
        BudgetError: one of them is no limit.
    """
    limits = []
    for part in _AND.split(text.strip()) if text.strip() else ():
        found = _parsed(part)
        if found is None or found["limit"] is None:
            raise BudgetError(_no_limit(part))
        limits.append(Constraint(**found))
    return tuple(limits)


def require_probes(budget: Budget, names: Collection[str]) -> None:
    """Refuse a limit on a probe that the study does not ask.

    Raises:
        BudgetError: which probes there are, and which may have been meant.
    """
    for limit in budget.limits:
        if limit.probe is not None and limit.probe not in names:
            raise BudgetError(f"{limit.spec}: {unknown_probe(limit.probe, names)}")


def slip(error: BudgetError) -> str:
    """What a refusal takes a text to be meant for, for a form's line; empty where it does not."""
    text = str(error)
    at = text.find("did you mean ")
    return text[at : text.index("?", at) + 1] if at >= 0 else ""


def unknown_probe(name: str, names: Collection[str]) -> str:
    """That there is no such probe, and which there are."""
    near = get_close_matches(name, list(names), 1)
    asked = f"he study asks {', '.join(names)}"
    more = f"did you mean {near[0]}? T{asked}" if near else f"t{asked}"
    return f"there is no probe {name}: {more}"


def _parsed(text: str) -> dict[str, Any] | None:
    """The fields that a part of a short form says; ``None`` where it is none."""
    for objective in OBJECTIVES:
        found = objective.read(text)
        if found is None:
            continue
        try:
            objective.check(found.limit)
        except ValueError:
            return None
        if found.limit == 0.0:
            return None
        return {"objective": objective.name, **found._asdict()}
    return None


def _no_limit(text: str) -> str:
    return f"{text!r} is no limit: {_meant(text)}write {_forms(limits=True)}"


def _forms(*, limits: bool = False) -> str:
    known = examples(remarks=True)
    *others, last = [form for form in known if not limits or "=" in form]
    return f"{', '.join(others)} or {last}"


def _unreadable(text: str, part: str, *, several: bool) -> BudgetError:
    where = f" at {part!r}" if several else ""
    return BudgetError(
        f"budget {text!r} cannot be read{where}: {_meant(part)}write {_forms()}"
        + (", with “and” between several" if several else "")
    )


def _meant(text: str) -> str:
    """A question for what looks like a slip; else empty."""
    found = list(dict.fromkeys(_candidates(text.strip())))
    return f"did you mean {' or '.join(found)}? Otherwise " if found else ""


def _candidates(text: str) -> Iterator[str]:
    """What a text that cannot be read may have been meant for, as short forms."""
    parts = [part for part in _SEPARATORS.split(text) if part]
    if len(parts) > 1:
        read = [_parsed(part) or next(map(_parsed, _one_slip(part)), None) for part in parts]
        if all(read):
            forms = [_short(one) for one in read if one]
            yield AND.join(sorted(forms, key=lambda form: "=" in form))
        return
    if _parsed(text) is not None:  # the knee behind a limit
        yield f"{text} at the beginning"
        return
    yield from _one_slip(text)


def _one_slip(text: str) -> Iterator[str]:
    """One limit with its sign, its word or its number corrected."""
    match = _LIKE_A_LIMIT.fullmatch(text.lower())
    if match is None:
        return
    statistic, word, probe, sign, number, percent = match.groups()
    known = {one.limit.quantity: one.limit.sign for one in OBJECTIVES if one.limit is not None}
    near = get_close_matches(word, known, 1)
    if not near:
        return
    digits = re.sub(r"(?<=\d)[,_' ](?=\d{3}(?!\d))", "", number)
    before, behind = f"{statistic} " if statistic else "", probe or ""
    form = f"{before}{near[0]}{behind}{known[near[0]]}{digits}"
    meant = _SIGNS.get(sign, sign)
    if meant in (known[near[0]], "=") and _parsed(form + percent) is not None:
        yield form + percent
        return
    if percent and _parsed(form) is not None:
        return
    yield from _shares(form)


def _shares(form: str) -> Iterator[str]:
    """For who wrote a share as per cent without the sign."""
    parts = ShortForm.of(form)
    if parts is None or parts.percent or parts.statistic or not 1.0 < parts.number <= 100.0:
        return
    limits = [
        one.limit
        for one in OBJECTIVES
        if one.limit is not None
        and (one.limit.quantity, one.limit.sign) == (parts.quantity, parts.sign)
        and one.limit.most == 1.0
    ]
    for limit in sorted(limits, key=lambda limit: not limit.short_percent):
        yield limit.short(parts.number / 100, parts.probe)


def _short(found: Mapping[str, Any]) -> str:
    return OBJECTIVES[found["objective"]].short(found["limit"], found["statistic"], found["probe"])


def _reason(error: ValueError) -> str:
    """What a refusal says, without where in our data it was found."""
    errors = getattr(error, "errors", None)
    first = errors()[0] if callable(errors) else {}
    return str(first.get("ctx", {}).get("error", first.get("msg", error)))
