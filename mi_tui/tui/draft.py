"""The preset being edited: what the form fields hold, and the preset they make when all is valid.

Fields hold the text as typed, so that a half-written number is kept and explained, never lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from mi_tui.plan.budget import Budget, Objective
from mi_tui.plan.preset import Pair, Preset, Search
from mi_tui.plan.probe import AnyProbe, ArithmeticProbe
from mi_tui.plan.recipe import Decoding
from mi_tui.plan.scope import ALL_MODULES, ModuleKind, Modules, Scope, format_layers, parse_layers

T = TypeVar("T")
Side = Literal["instruct", "thinking"]

DEFAULT_PROBES: tuple[AnyProbe, ...] = (ArithmeticProbe(kind="arithmetic", max_new_tokens=512),)
"""What a new study asks when no preset says otherwise: needs no download."""

EXAMPLES = MappingProxyType(
    {
        Objective.WITHIN_TOKENS: "2000",
        Objective.WITHIN_SECONDS: "30",
        Objective.FOR_SCORE: "80",
        Objective.FOR_SHARE: "95",
        Objective.KNEE: "",
    }
)
"""A limit to begin with, per objective; scores and shares are typed in per cent."""

_PERCENT = (Objective.FOR_SCORE, Objective.FOR_SHARE)


@dataclass(frozen=True, slots=True)
class ProbeDraft:
    """One probe's row: whether it is asked, how many problems, and the token cap."""

    plan: AnyProbe
    asked: bool = True
    problems: str = ""
    cap: str = ""

    @property
    def name(self) -> str:
        """The name that tells the probe from the others."""
        return self.plan.name or self.plan.kind


@dataclass(frozen=True, slots=True)
class Draft:
    """All form fields of the five steps.

    ``template`` is the preset the draft began from; what no form field shows (engine, further
    recipes, tolerance) is taken over from it.
    """

    title: str = "New study"
    description: str = ""
    instruct: str = ""
    thinking: str = ""
    base: str = ""
    donor: Side = "thinking"
    trust_remote_code: bool = False
    objective: Objective = Objective.KNEE
    limit: str = ""
    statistic: Literal["mean", "p95"] = "mean"
    confidence: str = "90"
    grid: str = "0, 0.2, 0.4, 0.5, 0.6, 0.8, 1"
    refine: bool = True
    samples: str = "4"
    layers: str = "all"
    modules: Modules = ALL_MODULES
    outside: Side = "instruct"
    temperature: str = "0.6"
    top_p: str = "0.95"
    top_k: str = "0"
    probes: tuple[ProbeDraft, ...] = ()
    max_rollouts: str = ""
    max_tokens: str = ""
    max_minutes: str = ""
    template: Preset | None = None

    def with_objective(self, objective: Objective) -> "Draft":
        """The draft with another objective and a limit that fits it."""
        if objective is self.objective:
            return self
        return replace(self, objective=objective, limit=EXAMPLES[objective])

    def with_probe(self, index: int, **changes: Any) -> "Draft":
        """The draft with one probe's row changed."""
        probes = list(self.probes)
        probes[index] = replace(probes[index], **changes)
        return replace(self, probes=tuple(probes))


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft that was read: the preset if all is valid, else what is wrong with which field."""

    preset: Preset | None
    problems: Mapping[str, str] = field(default_factory=dict)

    def of(self, *names: str) -> dict[str, str]:
        """The problems of these fields alone."""
        return {name: self.problems[name] for name in names if name in self.problems}


def new_draft() -> Draft:
    """The draft of a study from nothing: no pair yet, every other field valid."""
    return Draft(probes=tuple(_probe_row(plan) for plan in DEFAULT_PROBES))


def draft_of(preset: Preset) -> Draft:
    """The draft that shows a preset and makes it again."""
    pair, budget, search = preset.pair, preset.budget, preset.search
    return Draft(
        title=preset.title,
        description=preset.description,
        instruct=pair.instruct,
        thinking=pair.thinking,
        base=pair.base or "",
        donor=pair.donor,
        trust_remote_code=pair.trust_remote_code,
        objective=budget.objective,
        limit=_limit_text(budget),
        statistic=budget.statistic,
        confidence=f"{100 * budget.confidence:g}",
        grid=", ".join(f"{value:g}" for value in search.grid),
        refine=search.refine,
        samples=str(search.samples),
        layers=format_layers(preset.scope.layers),
        modules=preset.scope.modules,
        outside=preset.scope.outside,
        temperature=f"{preset.decoding.temperature:g}",
        top_p=f"{preset.decoding.top_p:g}",
        top_k=str(preset.decoding.top_k),
        probes=tuple(_probe_row(plan) for plan in preset.probes),
        max_rollouts=_optional_text(search.max_rollouts),
        max_tokens=_optional_text(search.max_tokens),
        max_minutes=_optional_text(search.max_minutes),
        template=preset,
    )


def check(draft: Draft) -> Checked:
    """Read every field; the preset is there when no field has a problem."""
    reading = _Reading()
    pair = reading.pair(draft)
    budget = reading.budget(draft)
    scope = reading.scope(draft)
    decoding = reading.decoding(draft)
    probes = reading.probes(draft)
    search = reading.search(draft)
    parts = (pair, budget, scope, decoding, probes, search)
    if reading.problems or any(part is None for part in parts):
        return Checked(None, reading.problems)
    content: dict[str, Any] = {
        "title": draft.title.strip() or "New study",
        "description": draft.description,
        "pair": pair,
        "probes": probes,
        "budget": budget,
        "scope": scope,
        "decoding": decoding,
        "search": search,
    }
    if draft.template is not None:
        content |= {"engine": draft.template.engine, "recipes": draft.template.recipes}
    preset = reading.read("title", lambda: Preset.model_validate(content))
    return Checked(preset, reading.problems)


class _Reading:
    """Reads the parts of a draft and collects what is wrong, one message per field."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def read(self, name: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except ValidationError as error:
            first = error.errors()[0]
            self.problems[name] = str(first.get("ctx", {}).get("error", first["msg"]))
        except ValueError as error:
            self.problems[name] = str(error)
        return None

    def pair(self, draft: Draft) -> Pair | None:
        for name in ("instruct", "thinking"):
            if not getattr(draft, name).strip():
                self.problems[name] = "a directory, a hub id (owner/name) or bundled:NAME"
        if self.problems:
            return None
        return Pair(
            instruct=draft.instruct.strip(),
            thinking=draft.thinking.strip(),
            base=draft.base.strip() or None,
            donor=draft.donor,
            trust_remote_code=draft.trust_remote_code,
        )

    def budget(self, draft: Draft) -> Budget | None:
        percent = draft.objective in _PERCENT
        limit = None
        if draft.objective is not Objective.KNEE:
            most = 100.0 if percent else None
            limit = self.read("limit", lambda: _number(draft.limit, above=0.0, most=most))
        confidence = self.read("confidence", lambda: _confidence(draft.confidence))
        if "limit" in self.problems or confidence is None:
            return None
        return self.read(
            "limit",
            lambda: Budget(
                objective=draft.objective,
                limit=limit / 100 if percent and limit is not None else limit,
                statistic=draft.statistic,
                confidence=confidence,
            ),
        )

    def scope(self, draft: Draft) -> Scope | None:
        layers = self.read("layers", lambda: parse_layers(draft.layers.strip() or "all"))
        if layers is None:
            return None
        return self.read(
            "modules",
            lambda: Scope(layers=layers, modules=draft.modules, outside=draft.outside),
        )

    def decoding(self, draft: Draft) -> Decoding | None:
        temperature = self.read("temperature", lambda: _number(draft.temperature, most=5.0))
        top_p = self.read("top_p", lambda: _number(draft.top_p, above=0.0, most=1.0))
        top_k = self.read("top_k", lambda: _whole(draft.top_k, least=0))
        if temperature is None or top_p is None or top_k is None:
            return None
        return Decoding(temperature=temperature, top_p=top_p, top_k=top_k)

    def probes(self, draft: Draft) -> tuple[AnyProbe, ...] | None:
        plans = [self.probe(index, row) for index, row in enumerate(draft.probes) if row.asked]
        if not plans:
            self.problems["probes"] = "ask at least one probe"
        read = tuple(plan for plan in plans if plan is not None)
        return read if len(read) == len(plans) > 0 else None

    def probe(self, index: int, row: ProbeDraft) -> AnyProbe | None:
        problems = self.read(f"problems-{index}", lambda: _optional(row.problems, least=2))
        cap = self.read(f"cap-{index}", lambda: _whole(row.cap, least=1))
        if f"problems-{index}" in self.problems or cap is None:
            return None
        return row.plan.model_copy(update={"problems": problems, "max_new_tokens": cap})

    def search(self, draft: Draft) -> Search | None:
        values: dict[str, Any] = {
            "grid": self.read("grid", lambda: parse_grid(draft.grid)),
            "samples": self.read("samples", lambda: _whole(draft.samples, least=1)),
            "max_rollouts": self.read("max_rollouts", lambda: _optional(draft.max_rollouts)),
            "max_tokens": self.read("max_tokens", lambda: _optional(draft.max_tokens)),
            "max_minutes": self.read("max_minutes", lambda: _minutes(draft.max_minutes)),
            "refine": draft.refine,
        }
        if set(values) & set(self.problems):
            return None
        kept = draft.template.search.model_dump() if draft.template else {}
        return self.read("grid", lambda: Search.model_validate(kept | values))


def parse_grid(text: str) -> tuple[float, ...]:
    """Read ``0, 0.2, 0.5, 1`` or ``0-1 by 0.1`` as values of λ.

    Raises:
        ValueError: the text is neither, a value lies outside [0, 1], or there is only one.
    """
    span, by, step = text.partition("by")
    try:
        if by:
            first, last = (float(part) for part in span.split("-"))
            values = _steps(first, last, float(step))
        else:
            values = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError("values of λ from 0 to 1: 0, 0.2, 0.5, 1 or 0-1 by 0.1") from None
    if any(not 0.0 <= value <= 1.0 for value in values):
        raise ValueError("λ lies between 0 (Instruct) and 1 (Thinking)")
    if len(set(values)) < 2:
        raise ValueError("at least two values of λ")
    return tuple(sorted(set(values)))


def _steps(first: float, last: float, step: float) -> tuple[float, ...]:
    if step < 0.005:
        raise ValueError(step)
    return tuple(round(first + i * step, 6) for i in range(int((last - first) / step + 1e-9) + 1))


def _number(text: str, *, above: float | None = None, most: float | None = None) -> float:
    wanted = "a number" + (f" up to {most:g}" if most is not None else "")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if above is not None and not value > above:
        raise ValueError(f"{wanted}, more than {above:g}")
    if value != value or value < 0 or (most is not None and value > most) or value == float("inf"):
        raise ValueError(f"{wanted}, not {text.strip()}")
    return value


def _whole(text: str, *, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"a whole number from {least}") from None
    if value < least:
        raise ValueError(f"a whole number from {least}")
    return value


def _optional(text: str, *, least: int = 1) -> int | None:
    return _whole(text, least=least) if text.strip() else None


def _minutes(text: str) -> float | None:
    return _number(text, above=0.0) if text.strip() else None


def _confidence(text: str) -> float:
    value = _number(text, most=100.0) / 100
    if not 0.5 < value < 1.0:
        raise ValueError("between 50 and 100 %, both excluded")
    return value


def _limit_text(budget: Budget) -> str:
    if budget.limit is None:
        return ""
    return f"{100 * budget.limit if budget.objective in _PERCENT else budget.limit:g}"


def _optional_text(value: float | None) -> str:
    return "" if value is None else str(value).removesuffix(".0")


def _probe_row(plan: AnyProbe) -> ProbeDraft:
    return ProbeDraft(
        plan=plan,
        problems=_optional_text(plan.problems),
        cap=str(plan.max_new_tokens),
    )


def module_names(modules: Modules) -> list[tuple[ModuleKind, str, bool]]:
    """Every module kind with its name on screen and whether it is in ``modules``."""
    return [
        (kind, "FFN" if kind is ModuleKind.FFN else str(kind), kind in modules)
        for kind in ModuleKind
    ]
