"""The end of a study that goes on: an amount in all, some more, or a settled answer."""

import re
from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field

from mi_tui.errors import MiTuiError
from mi_tui.plan.base import Plan
from mi_tui.plan.search import Search

Unit = Literal["rollouts", "tokens", "minutes"]

SETTLED = "settled"

FORMS = "settled, +500 rollouts, +50k tokens, +10 minutes, or 2000 rollouts in all"

_SIZES = {"": 1.0, "k": 1e3, "m": 1e6}
_UNITS: tuple[Unit, ...] = get_args(Unit)
_NUMBER = r"(\+?)\s*([0-9][0-9,]*(?:\.[0-9]+)?)\s*([km]?)"
_AMOUNT = re.compile(_NUMBER + r"\s*(rollout|token|min(?:ute)?)s?(?:\s+in\s+all)?", re.IGNORECASE)
_MOST = 1e12


class UntilError(MiTuiError):
    """A text that names no end, or an end that is no further than where the study is."""


class Until(Plan):
    """How far a study goes on: ``amount`` of ``unit``, or until the answer is settled.

    Without an ``amount`` the study ends when its answer is settled, and has no limit. With one it
    goes on even where the answer is settled. ``more``: the amount is counted from where the study
    is, otherwise from its start.
    """

    amount: float | None = Field(default=None, gt=0.0, le=_MOST)
    unit: Unit = "rollouts"
    more: bool = False

    @property
    def spec(self) -> str:
        """The short form, as it is typed."""
        if self.amount is None:
            return SETTLED
        return f"{'+' * self.more}{self.amount:,.15g} {self.unit}"

    def in_all(self, spent: Mapping[Unit, float]) -> "Until":
        """The same end, counted from the study's start.

        Args:
            spent: what the study has taken of each unit.

        Raises:
            UntilError: the study is that far already.
        """
        if self.amount is None:
            return self
        so_far = spent[self.unit]
        end = self.amount + so_far * self.more
        if self.unit != "minutes":
            end = float(int(end))
        if end <= so_far:
            further = self.model_copy(update={"more": True}).spec
            raise UntilError(
                f"the study has taken {so_far:,.10g} {self.unit} already: write {further} "
                "to add to them"
            )
        return self.model_copy(update={"amount": end, "more": False})

    def search(self, search: Search) -> Search:
        """The search with this end in place of its limits."""
        limits: dict[str, float | int | bool | None] = {f"max_{unit}": None for unit in _UNITS}
        if self.amount is None:
            limits["refine"] = True
        else:
            whole = self.unit != "minutes"
            limits[f"max_{self.unit}"] = int(self.amount) if whole else self.amount
        return search.model_copy(update=limits)


def parse_until(text: str) -> Until:
    """Read ``settled``, ``+500 rollouts``, ``+50k tokens``, ``+10 minutes`` or ``2000 rollouts``.

    Raises:
        UntilError: the text is none of them.
    """
    typed = text.strip()
    if typed.lower() == SETTLED:
        return Until()
    found = _AMOUNT.fullmatch(typed)
    if found is None:
        raise UntilError(f"write {FORMS}")
    unit = next(unit for unit in _UNITS if unit.startswith(found[4].lower()))
    amount = float(found[2].replace(",", "")) * _SIZES[found[3].lower()]
    if not 0 < amount <= _MOST or (unit != "minutes" and amount != int(amount)):
        raise UntilError(f"write {FORMS}")
    return Until(amount=amount, unit=unit, more=bool(found[1]))
