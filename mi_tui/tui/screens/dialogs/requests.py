"""The questions behind requests to a study: which λ, how many samples, how far it goes on.

Each function gives the dialog and what takes its answer: ``app.push_screen(*ask_lambdas(…))``.
``then`` gets what was read, and is not called where the dialog is left.
"""

from collections.abc import Callable
from typing import TypeVar

from mi_tui.errors import MiTuiError
from mi_tui.plan.numbers import whole
from mi_tui.plan.until import FORMS, SETTLED, Until, parse_until
from mi_tui.study.bounds import SAMPLES
from mi_tui.tui.forms.number_fields import lambdas
from mi_tui.tui.screens.dialogs.ask import AskScreen

T = TypeVar("T")
Asked = tuple[AskScreen, Callable[[str | None], None]]


def ask_lambdas(then: Callable[[tuple[float, ...]], None]) -> Asked:
    """Which λ are evaluated as well."""
    return _asked("Evaluate which λ?", "0.55", lambdas, then)


def ask_two_lambdas(low: float, high: float, then: Callable[[tuple[float, float]], None]) -> Asked:
    """Between which two λ flips are looked for; ``low`` and ``high`` are proposed."""

    def two(text: str) -> tuple[float, float]:
        values = lambdas(text)
        if len(values) != 2 or values[0] == values[1]:
            raise ValueError(f"two values of λ, for example {low:g}, {high:g}")
        return values[0], values[1]

    return _asked("Flips between which two λ?", f"{low:g}, {high:g}", two, then)


def ask_samples(label: str, then: Callable[[int], None]) -> Asked:
    """How many more samples of a recipe, by its label."""

    def samples(text: str) -> int:
        return whole(text, least=1, most=SAMPLES)

    return _asked(f"How many more samples per problem of {label}?", "4", samples, then)


def ask_until(settled: bool, then: Callable[[Until], None]) -> Asked:
    """How far a study goes on that has ended; ``settled``: only an amount makes sense."""
    begin = "+500 rollouts" if settled else SETTLED
    return _asked(f"Continue until? {FORMS}", begin, parse_until, then)


def _asked(question: str, begin: str, read: Callable[[str], T], then: Callable[[T], None]) -> Asked:
    def problem(text: str) -> str:
        try:
            read(text)
        except (ValueError, MiTuiError) as error:
            return str(error)
        return ""

    def take(text: str | None) -> None:
        if text is not None:
            then(read(text))

    return AskScreen(question, begin, problem), take
