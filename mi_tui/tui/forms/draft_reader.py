"""The reader of a draft: the preset it makes, or what is wrong with which field."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, TypeVar

from pydantic import ValidationError

from mi_tui.plan.budget import (
    Budget,
    BudgetError,
    Constraint,
    parse_limits,
    slip,
    unknown_probe,
)
from mi_tui.plan.engine import EnginePlan, ServerSpeed
from mi_tui.plan.numbers import number, optional, whole
from mi_tui.plan.objective import OBJECTIVES
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import Scope, parse_layers
from mi_tui.plan.search import Search
from mi_tui.study.bounds import excesses
from mi_tui.study.storage.folder import name_problem
from mi_tui.tui.forms.draft import Draft, ProbeDraft
from mi_tui.tui.forms.number_fields import confidence, minutes, parse_grid

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft that was read: the preset if all is valid, else what is wrong with which field."""

    preset: Preset | None
    problems: Mapping[str, str] = field(default_factory=dict)

    def of(self, *names: str) -> dict[str, str]:
        """The problems of these fields alone."""
        return {name: self.problems[name] for name in names if name in self.problems}


def check(draft: Draft) -> Checked:
    """Read every field; the preset is there when no field has a problem."""
    reading = _Reading()
    parts = {
        "pair": reading.pair(draft),
        "budget": reading.budget(draft),
        "scope": reading.scope(draft),
        "decoding": reading.decoding(draft),
        "probes": reading.probes(draft),
        "search": reading.search(draft),
    }
    server = reading.server(draft)
    reading.name(draft)
    reading.baselines(draft)
    if reading.problems or any(part is None for part in parts.values()):
        return Checked(None, reading.problems)
    kept = {} if draft.template is None else dict(draft.template)
    content: dict[str, Any] = {
        **kept,
        **parts,
        "title": draft.title.strip() or pair_title(draft.instruct, draft.thinking),
        "description": draft.description,
        "server": server,
        "engine": _engine(draft),
        "recipes": _rows(draft, parts["decoding"]),
    }
    preset = reading.read("title", lambda: Preset.model_validate(content))
    if preset is not None:
        reading.bounds(draft, preset)
    return Checked(None if reading.problems else preset, reading.problems)


def _rows(draft: Draft, decoding: Any) -> tuple[Recipe, ...]:
    """The further rows; they are decoded as the search is, but for those that say otherwise."""
    template = draft.template
    own = [row for row in template.recipes if row.decoding != template.decoding] if template else []
    return tuple(
        row if row in own else row.model_copy(update={"decoding": decoding})
        for row in draft.recipes
    )


def _engine(draft: Draft) -> EnginePlan:
    """The template's engine section with the kind that was chosen."""
    kept = draft.template.engine if draft.template else EnginePlan()
    return kept.model_copy(update={"kind": draft.engine})


def pair_title(instruct: str, thinking: str) -> str:
    """A name for the study of a pair: what the two sides' names begin with, or ``New study``."""
    names = [side.strip().rstrip("/").rpartition("/")[2] for side in (instruct, thinking)]
    parts = [re.split(r"[-_:@]", name) for name in names]
    shared = [one for one, _ in takewhile(lambda two: two[0] == two[1], zip(*parts, strict=False))]
    return "-".join(shared)[:60] or "New study"


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

    def bounds(self, draft: Draft, preset: Preset) -> None:
        """What is more than makes sense or the machine can do."""
        rows = [index for index, row in enumerate(draft.probes) if row.asked]
        for excess in excesses(preset):
            name, dash, index = excess.field.partition("-")
            self.problems[f"{name}-{rows[int(index)]}" if dash else name] = excess.message

    def name(self, draft: Draft) -> None:
        if draft.name.strip() and (problem := name_problem(draft.name.strip())):
            self.problems["name"] = problem

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
        of = OBJECTIVES[draft.objective].limit
        limit = None
        if of is not None:
            typed = self.read("limit", lambda: number(draft.limit, above=0.0, most=of.most_in_form))
            limit = None if typed is None else typed / of.scale
        sure = self.read("confidence", lambda: confidence(draft.confidence))
        also = self.read("also", lambda: self.limits(draft))
        names = [row.name for row in draft.probes if row.asked]
        probe = draft.probe.strip() if of is not None else ""
        if probe and probe not in names:
            self.problems["probe"] = unknown_probe(probe, names)
        if {"limit", "probe"} & set(self.problems) or sure is None or also is None:
            return None
        return self.read(
            "also" if also else "limit",
            lambda: Budget(
                objective=draft.objective,
                limit=limit,
                statistic=draft.statistic,
                probe=probe or None,
                also=also,
                confidence=sure,
                about=draft.about,
            ),
        )

    def limits(self, draft: Draft) -> tuple[Constraint, ...]:
        """The further limits, each on a probe that is asked."""
        try:
            found = parse_limits(draft.also)
        except BudgetError as error:
            raise ValueError(slip(error) or "such as score>=95% and p95 seconds<=30") from None
        names = [row.name for row in draft.probes if row.asked]
        for limit in found:
            if limit.probe is not None and limit.probe not in names:
                raise ValueError(unknown_probe(limit.probe, names))
        return found

    def server(self, draft: Draft) -> ServerSpeed | None:
        if draft.speed == "measured":
            return None
        first = self.read("first_token", lambda: number(draft.first_token, most=3.6e6))
        each = self.read("per_token", lambda: number(draft.per_token, above=0.0, most=3.6e6))
        if first is None or each is None:
            return None
        return self.read(
            "per_token",
            lambda: ServerSpeed(
                time_to_first_token=first / 1000, time_per_output_token=each / 1000
            ),
        )

    def baselines(self, draft: Draft) -> None:
        with_base = [r for r in draft.recipes if r.merge_method.needs_base and not r.base]
        if with_base and not draft.base.strip():
            self.problems["recipes"] = f"{with_base[0].label} needs a base model: see Models"

    def scope(self, draft: Draft) -> Scope | None:
        layers = self.read("layers", lambda: parse_layers(draft.layers.strip() or "all"))
        if layers is None:
            return None
        return self.read(
            "modules",
            lambda: Scope(layers=layers, modules=draft.modules, outside=draft.outside),
        )

    def decoding(self, draft: Draft) -> Decoding | None:
        temperature = self.read("temperature", lambda: number(draft.temperature, most=5.0))
        top_p = self.read("top_p", lambda: number(draft.top_p, above=0.0, most=1.0))
        top_k = self.read("top_k", lambda: whole(draft.top_k, least=0))
        if temperature is None or top_p is None or top_k is None:
            return None
        return Decoding(temperature=temperature, top_p=top_p, top_k=top_k)

    def probes(self, draft: Draft) -> tuple[AnyProbe, ...] | None:
        plans = [self.probe(index, row) for index, row in enumerate(draft.probes) if row.asked]
        if not plans:
            self.problems["probes"] = "ask at least one probe"
        read = tuple(plan for plan in plans if plan is not None)
        names = [plan.name or plan.kind for plan in read]
        if len(set(names)) < len(names):
            self.problems["probes"] = "two probes have the same name: give each one of its own"
        return read if len(read) == len(plans) > 0 else None

    def probe(self, index: int, row: ProbeDraft) -> AnyProbe | None:
        problems = self.read(f"problems-{index}", lambda: optional(row.problems, least=2))
        cap = self.read(f"cap-{index}", lambda: whole(row.cap, least=1))
        if f"problems-{index}" in self.problems or cap is None:
            return None
        values = {**dict(row.plan), "problems": problems, "max_new_tokens": cap}
        return self.read(f"problems-{index}", lambda: type(row.plan).model_validate(values))

    def search(self, draft: Draft) -> Search | None:
        values: dict[str, Any] = {
            "grid": self.read("grid", lambda: parse_grid(draft.grid)),
            "samples": self.read("samples", lambda: whole(draft.samples, least=1)),
            "max_rollouts": self.read("max_rollouts", lambda: optional(draft.max_rollouts)),
            "max_tokens": self.read("max_tokens", lambda: optional(draft.max_tokens)),
            "max_minutes": self.read("max_minutes", lambda: minutes(draft.max_minutes)),
            "refine": draft.refine,
            "two_knobs": draft.two_knobs,
        }
        if set(values) & set(self.problems):
            return None
        kept = draft.template.search.model_dump() if draft.template else {}
        return self.read("grid", lambda: Search.model_validate(kept | values))
