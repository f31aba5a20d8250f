"""The kinds of probe a study can ask, and the form fields of each as text.

What a kind is called, what it is good for, and how its fields are read into a plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from mi_tui.plan.probe import AnyProbe, FileScorer
from mi_tui.tui.forms.numbers import number, optional, whole

_PLAN: TypeAdapter[AnyProbe] = TypeAdapter(AnyProbe)

SCORERS: tuple[str, ...] = get_args(FileScorer)
"""How responses to the user's own problems can be judged."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of probe: its group, one line on it, and what a new probe of it begins with."""

    name: str
    group: str
    about: str
    start: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProbeField:
    """One field of a probe's form: the plan's field, its label, and a hint."""

    name: str
    label: str
    hint: str


_MADE_UP = "Made up here: no download, in nobody's training data"
_PUBLIC = "Public benchmarks: downloaded when the study starts"
_YOURS = "Your own"

_THINKS: Mapping[str, Any] = {"max_new_tokens": 8192}
"""Room for a response that thinks."""

CATALOGUE: tuple[Kind, ...] = (
    Kind("word-problems", _MADE_UP, "stories with an integer answer", _THINKS),
    Kind("multiple-choice", _MADE_UP, "four-way choices that need reasoning", _THINKS),
    Kind("instructions", _MADE_UP, "writing with instructions a program can verify", _THINKS),
    Kind(
        "arithmetic",
        _MADE_UP,
        "chains of + − × modulo 100, for the demo pair",
        {"max_new_tokens": 320},
    ),
    Kind("aime25", _PUBLIC, "AIME'25: 30 hard problems with integer answers", {}),
    Kind("ifeval", _PUBLIC, "IFEval: 541 prompts with verifiable instructions", {}),
    Kind("gpqa-diamond", _PUBLIC, "GPQA-Diamond: 198 choices; gated: log in first", {}),
    Kind("file", _YOURS, "a JSONL or CSV file of prompts and answers", {"path": "problems.jsonl"}),
    Kind(
        "lm-eval", _YOURS, "a task of lm-eval, by name or YAML file", {"task": "gsm8k", **_THINKS}
    ),
)
"""The kinds in the order in which they are offered."""

GENERATED_PROBLEMS = 64
"""Problems of a new made-up probe: enough for differences of about a tenth."""

_COMMON = (
    ProbeField("name", "Name", "empty: the kind"),
    ProbeField("problems", "Problems", "empty: all there are"),
    ProbeField("samples", "Samples", "empty: as on the Scope step"),
    ProbeField("max_new_tokens", "Token cap", "cut there, a response counts as wrong"),
    ProbeField("weight", "Weight", "against the other probes"),
    ProbeField("held_out", "Held out", "% kept to confirm the answer"),
)
_OWN: Mapping[str, tuple[ProbeField, ...]] = MappingProxyType(
    {
        "arithmetic": (ProbeField("operations", "Operations", "2 to 5 in a chain, in turn"),),
        "word-problems": (ProbeField("difficulty", "Difficulty", "1 to 5: steps to the answer"),),
        "multiple-choice": (ProbeField("difficulty", "Difficulty", "1 to 5, in turn"),),
        "instructions": (ProbeField("difficulty", "Difficulty", "1 to 5: how many instructions"),),
        "aime25": (ProbeField("path", "Local file", "empty: from the hub"),),
        "ifeval": (ProbeField("path", "Local file", "empty: from the hub"),),
        "gpqa-diamond": (ProbeField("path", "Local file", "empty: from the hub"),),
        "file": (
            ProbeField("path", "File", "JSONL or CSV"),
            ProbeField("scorer", "Scorer", "exact, integer, math, choice, regex …"),
            ProbeField("system", "System", "message before each"),
        ),
        "lm-eval": (
            ProbeField("task", "Task", "or a .yaml file"),
            ProbeField("metric", "Metric", "empty: the task's first"),
            ProbeField("filter", "Filter", "empty: the task's first"),
            ProbeField("few_shot", "Few-shot", "empty: the task's own"),
        ),
    }
)
_LISTS = ("operations", "difficulty")


def kind_of(name: str) -> Kind:
    """The catalogue's entry of a kind."""
    return next(kind for kind in CATALOGUE if kind.name == name)


def new_probe(kind: Kind) -> AnyProbe:
    """A probe of this kind as it is offered."""
    problems = {"problems": GENERATED_PROBLEMS} if kind.group == _MADE_UP else {}
    return _PLAN.validate_python({"kind": kind.name, **problems, **kind.start})


def fields_of(kind: str) -> tuple[ProbeField, ...]:
    """The fields of a probe's form: its own first, then what every probe has."""
    return (*_OWN[kind], *_COMMON)


def texts_of(plan: AnyProbe) -> dict[str, str]:
    """A probe's fields as they are typed."""
    return {field.name: _text(plan, field.name) for field in fields_of(plan.kind)}


def read_probe(plan: AnyProbe, texts: Mapping[str, str]) -> tuple[AnyProbe | None, dict[str, str]]:
    """The probe with these fields, or what is wrong with which; other settings are kept."""
    values, problems = dict(plan), {}
    for name, text in texts.items():
        try:
            values |= _value(name, text.strip())
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        return None, problems
    try:
        return _PLAN.validate_python(values), {}
    except ValidationError as error:
        first = error.errors()[0]
        place = next((str(part) for part in first["loc"] if part in texts), next(iter(texts)))
        return None, {place: first["msg"].removeprefix("Value error, ")}


def _text(plan: AnyProbe, name: str) -> str:
    if name == "task":
        return str(getattr(plan, "task", None) or getattr(plan, "path", None) or "")
    value = getattr(plan, name)
    if value is None:
        return ""
    if name in _LISTS:
        return ", ".join(map(str, value))
    if name == "held_out":
        return f"{100 * value:g}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(name: str, text: str) -> dict[str, Any]:
    """What a field's text means for the plan.

    Raises:
        ValueError: it cannot be read; the message is what is wanted.
    """
    if name == "task":
        is_file = text.endswith((".yaml", ".yml"))
        return {"task": None if is_file else text or None, "path": text if is_file else None}
    if name in _LISTS:
        return {name: _levels(text)}
    if name == "problems":
        return {name: optional(text, least=2)}
    if name == "max_new_tokens":
        return {name: whole(text, least=1)}
    if name == "samples":
        return {name: optional(text)}
    if name == "few_shot":
        return {name: optional(text, least=0)}
    if name == "weight":
        return {name: number(text, above=0.0)}
    if name == "held_out":
        return {name: number(text, most=90.0) / 100}
    if name == "scorer" and text not in SCORERS:
        raise ValueError(f"one of {', '.join(SCORERS)}")
    empty_is_none = name in ("path", "metric", "filter")
    return {name: None if empty_is_none and not text else text}


def _levels(text: str) -> tuple[int, ...]:
    levels = tuple(whole(part, least=1) for part in text.replace(",", " ").split())
    if not levels or max(levels) > 5:
        raise ValueError("whole numbers up to 5, parted by commas")
    return levels
