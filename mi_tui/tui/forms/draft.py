"""A draft: the preset that is edited, as the texts of the form's fields.

Fields hold the text as typed, so that a half-written number is kept and explained, never lost;
``mi_tui.tui.forms.draft_reader`` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from mi_tui.plan.budget import AND, About, Budget
from mi_tui.plan.objective import OBJECTIVES
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ALL_MODULES, Modules, format_layers
from mi_tui.probes.probe_kind import kind_of
from mi_tui.study.storage.folder import proposed_name

Side = Literal["instruct", "thinking"]
Engine = Literal["auto", "transformers", "vllm"]

OFFERED: tuple[tuple[str, Mapping[str, Any], bool], ...] = (
    ("word-problems", {}, True),
    ("arithmetic", {"max_new_tokens": 512}, False),
)
"""The kinds that a new study offers, what differs from their start, and whether it asks them."""

FIRST_TOKEN, PER_TOKEN = "200", "20"
"""Milliseconds to begin with where the user types in a server's figures."""


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

    ``template`` is the preset the draft began from; what no form field shows (the options of
    the engine, tolerance) is taken over from it. Without a ``title`` the study is titled after
    its pair; ``name`` is that of its directory, empty for the proposed one.
    ``first_token`` and ``per_token`` are milliseconds, read when ``speed`` is ``given``.
    """

    name: str = ""
    engine: Engine = "auto"
    title: str = ""
    description: str = ""
    instruct: str = ""
    thinking: str = ""
    base: str = ""
    donor: Side = "thinking"
    trust_remote_code: bool = False
    objective: str = "knee"
    limit: str = ""
    statistic: Literal["mean", "p95"] = "mean"
    probe: str = ""
    also: str = ""
    confidence: str = "90"
    about: About = "new-problems"
    speed: Literal["measured", "given"] = "measured"
    first_token: str = FIRST_TOKEN
    per_token: str = PER_TOKEN
    grid: str = "0, 0.2, 0.4, 0.5, 0.6, 0.8, 1"
    refine: bool = True
    two_knobs: bool = False
    samples: str = "4"
    layers: str = "all"
    modules: Modules = ALL_MODULES
    outside: Side = "instruct"
    temperature: str = "0.6"
    top_p: str = "0.95"
    top_k: str = "0"
    probes: tuple[ProbeDraft, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    max_rollouts: str = ""
    max_tokens: str = ""
    max_minutes: str = ""
    template: Preset | None = None

    def with_objective(self, objective: str) -> "Draft":
        """The draft with another objective and a limit that fits it."""
        if objective == self.objective:
            return self
        return replace(self, objective=objective, limit=default_limit(objective))

    def with_probe(self, index: int, **changes: Any) -> "Draft":
        """The draft with one probe's row changed."""
        probes = list(self.probes)
        probes[index] = replace(probes[index], **changes)
        return replace(self, probes=tuple(probes))


def new_draft() -> Draft:
    """The draft of a study from nothing: no pair yet, every other field valid."""
    return Draft(
        probes=tuple(probe_row(kind_of(name).new(**own), asked) for name, own, asked in OFFERED)
    )


def draft_of(preset: Preset) -> Draft:
    """The draft that shows a preset and makes it again."""
    pair, budget, search, server = preset.pair, preset.budget, preset.search, preset.server
    return Draft(
        title=preset.title,
        engine=preset.engine.kind,
        description=preset.description,
        instruct=pair.instruct,
        thinking=pair.thinking,
        base=pair.base or "",
        donor=pair.donor,
        trust_remote_code=pair.trust_remote_code,
        objective=budget.objective,
        limit=_limit_text(budget),
        statistic=budget.statistic,
        probe=budget.probe or "",
        also=AND.join(limit.spec for limit in budget.also),
        confidence=f"{100 * budget.confidence:g}",
        about=budget.about,
        speed="given" if server else "measured",
        first_token=_milliseconds(server.time_to_first_token) if server else FIRST_TOKEN,
        per_token=_milliseconds(server.time_per_output_token) if server else PER_TOKEN,
        grid=", ".join(f"{value:g}" for value in search.grid),
        refine=search.refine,
        two_knobs=search.two_knobs,
        samples=str(search.samples),
        layers=format_layers(preset.scope.layers),
        modules=preset.scope.modules,
        outside=preset.scope.outside,
        temperature=f"{preset.decoding.temperature:g}",
        top_p=f"{preset.decoding.top_p:g}",
        top_k=str(preset.decoding.top_k),
        probes=tuple(probe_row(plan) for plan in preset.probes),
        recipes=preset.recipes,
        max_rollouts=_optional_text(search.max_rollouts),
        max_tokens=_optional_text(search.max_tokens),
        max_minutes=_optional_text(search.max_minutes),
        template=preset,
    )


def default_limit(objective: str) -> str:
    """The text of a limit to begin with; empty for an objective without one."""
    limit = OBJECTIVES[objective].limit
    return "" if limit is None else limit.form_text(limit.default)


def _limit_text(budget: Budget) -> str:
    limit = OBJECTIVES[budget.objective].limit
    return "" if limit is None or budget.limit is None else limit.form_text(budget.limit)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.12g}"


def _optional_text(value: float | None) -> str:
    return "" if value is None else str(value).removesuffix(".0")


def proposed(preset: Preset) -> str:
    """The name that a new study of a preset is given, unless the user says another."""
    return proposed_name(preset.title, [plan.name or plan.kind for plan in preset.probes])


def probe_row(plan: AnyProbe, asked: bool = True) -> ProbeDraft:
    """The row that shows a probe."""
    return ProbeDraft(
        plan=plan,
        asked=asked,
        problems=_optional_text(plan.problems),
        cap=str(plan.max_new_tokens),
    )
