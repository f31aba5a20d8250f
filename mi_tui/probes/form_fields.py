"""The fields of a probe's form: how a setting of its plan is shown and read as text."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mi_tui.plan.numbers import number, optional, whole
from mi_tui.plan.probe import ProbePlan


@dataclass(frozen=True, slots=True)
class Field:
    """A setting that is text.

    Args:
        name: the plan's field.
        label: what stands before the box.
        hint: what stands behind it.
        wide: whether its text is long.
        is_path: whether it names a file, which a form may complete.
        empty_is_none: whether an empty box means ``None``.
    """

    name: str
    label: str
    hint: str
    wide: bool = False
    is_path: bool = False
    empty_is_none: bool = False

    def text(self, plan: ProbePlan) -> str:
        """The setting as it is typed."""
        value = getattr(plan, self.name)
        if value is None:
            return ""
        return f"{value:g}" if isinstance(value, float) else str(value)

    def values(self, text: str) -> dict[str, Any]:
        """What a text without outer spacing sets in the plan.

        Raises:
            ValueError: it cannot be read; the message is what is wanted.
        """
        return {self.name: self.read(text)}

    def read(self, text: str) -> Any:
        """The setting that a text means; errors as for :meth:`values`."""
        return None if self.empty_is_none and not text else text

    def help(self) -> str:
        """What stands behind the box."""
        return self.hint


@dataclass(frozen=True, slots=True)
class Count(Field):
    """A whole number from ``least``; an empty box is refused, or ``None`` where that is meant."""

    least: int = 1

    def read(self, text: str) -> int | None:
        """The number, or ``None``."""
        read = optional if self.empty_is_none else whole
        return read(text, least=self.least)


@dataclass(frozen=True, slots=True)
class Positive(Field):
    """A number above 0."""

    def read(self, text: str) -> float:
        """The number."""
        return number(text, above=0.0)


@dataclass(frozen=True, slots=True)
class Percent(Field):
    """A share, shown and read in per cent up to ``most``."""

    most: float = 100.0

    def text(self, plan: ProbePlan) -> str:
        """The share in per cent."""
        return f"{100 * getattr(plan, self.name):g}"

    def read(self, text: str) -> float:
        """The share, from 0 to 1."""
        return number(text, most=self.most) / 100


@dataclass(frozen=True, slots=True)
class Levels(Field):
    """Whole numbers from 1 up to ``most``, in a list."""

    most: int = 5

    def text(self, plan: ProbePlan) -> str:
        """The numbers, parted by commas."""
        return ", ".join(map(str, getattr(plan, self.name)))

    def read(self, text: str) -> tuple[int, ...]:
        """The numbers."""
        levels = tuple(whole(part, least=1) for part in text.replace(",", " ").split())
        if not levels or max(levels) > self.most:
            raise ValueError(f"whole numbers up to {self.most}, parted by commas")
        return levels


def _none() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Choice(Field):
    """One of the names that ``names`` gives when it is asked."""

    names: Callable[[], tuple[str, ...]] = _none

    def read(self, text: str) -> str:
        """The name."""
        if text not in self.names():
            raise ValueError(f"one of {', '.join(self.names())}")
        return text

    def help(self) -> str:
        """The first of the names, where there is no other hint."""
        return self.hint or f"{', '.join(self.names()[:5])} …"


def _quoted(pair: str) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([pair])
    return line.getvalue()


@dataclass(frozen=True, slots=True)
class Names(Field):
    """Names for names, as ``prompt=question, answer=target``; one with a comma is quoted."""

    def text(self, plan: ProbePlan) -> str:
        """The pairs, parted by commas."""
        return ", ".join(_quoted(f"{name}={of}") for name, of in getattr(plan, self.name).items())

    def read(self, text: str) -> dict[str, str]:
        """The pairs."""
        found: dict[str, str] = {}
        for pair in next(csv.reader([text], skipinitialspace=True), []):
            name, sign, other = (part.strip() for part in pair.partition("="))
            if not (name and sign and other) or name in found:
                raise ValueError("write prompt=question, answer=target")
            found[name] = other
        return found


COMMON: tuple[Field, ...] = (
    Field("name", "Name", "empty: the kind", wide=True),
    Count("problems", "Problems", "empty: all there are", empty_is_none=True, least=2),
    Count("samples", "Samples", "empty: as on the Scope step", empty_is_none=True),
    Count("max_new_tokens", "Token cap", "cut there, a response counts as wrong"),
    Positive("weight", "Weight", "against the other probes"),
    Percent("held_out", "Held out", "% kept to confirm the answer", most=90.0),
)
"""The fields of every probe's form, behind those of its kind."""
