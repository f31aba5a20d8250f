"""The model card of a merged checkpoint: README.md with the hub's metadata."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mi_tui import __version__
from mi_tui.checkpoints.merging.plan import MergePlan, Source
from mi_tui.text.percent import percent

_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")

TAGS = ["merge", "mi-tui", "model-interpolation"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One measured recipe: its label, mean score (0 to 1), mean tokens and think ratio."""

    label: str
    score: float
    tokens: float
    think_ratio: float


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What a study measured, in plain values.

    ``title`` names the model, ``recommendation`` says in a sentence or two what was recommended
    and for which budget; ``probes`` name what was measured on.
    """

    title: str
    recommendation: str
    curve: tuple[CurvePoint, ...] = ()
    probes: tuple[str, ...] = ()


def model_card(plan: MergePlan, study: StudyFacts | None = None) -> str:
    """The text of README.md: metadata, what was merged and how, and a study's figures."""
    from huggingface_hub import ModelCardData

    on_hub = [s.info.location.repository for s in plan.sources if s.info.location.repository]
    data = ModelCardData(
        base_model=list(dict.fromkeys(on_hub)) or None,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=TAGS,
    )
    if on_hub:
        data["base_model_relation"] = "merge"
    parts = [
        f"---\n{data.to_yaml()}\n---",
        f"# {plain(study.title if study is not None else _title(plan))}",
        _what(plan),
        _sources(plan.sources),
        _how(plan),
        *_dequantised(plan.sources),
        *(_study(study) if study is not None else ()),
        f"Made with mi-tui {__version__}. `mi_tui_manifest.json` holds the recipe, the sources "
        "and the SHA-256 of every file; `mi-tui merge --verify` checks them.",
    ]
    return "\n\n".join(parts) + "\n"


def _title(plan: MergePlan) -> str:
    """A name of what was merged from what: the directory's may be anything."""
    if plan.recipe is None:
        return " + ".join(f"{source.weight:g} · {_name(source)}" for source in plan.sources)
    instruct, thinking = plan.sources[:2]
    return f"{plan.title} of {_name(instruct)} and {_name(thinking)}"


def _what(plan: MergePlan) -> str:
    recipe = plan.recipe
    if recipe is None:
        return f"A weighted sum of {len(plan.sources)} checkpoints, parameter by parameter."
    said = recipe.merge_method.card(plain(recipe.label), recipe.values)
    text = f"{said}, {recipe.scope}." if recipe.merge_method.takes_lambda else f"{said}."
    if recipe.rules:
        rules = "\n".join(f"- {rule}" for rule in recipe.rules)
        text += f"\n\nParts with a λ of their own; the last that names a tensor wins:\n\n{rules}"
    return text


def _how(plan: MergePlan) -> str:
    dtypes = "/".join(dtype.lower() for dtype in plan.output_dtypes)
    donor = plain(_name(plan.donor))
    text = (
        f"Computed in float32, rounded once to {dtypes}. Config, tokenizer, chat template and "
        f"generation config are those of {donor}."
    )
    if plan.kept_rows:
        text += (
            f" {len(plan.kept_rows)} token ids mean another token in another checkpoint: their "
            f"rows of embedding and head are those of {donor}."
        )
    if plan.unties_head:
        text += " The head has weights of its own, and the config says that it is not tied."
    return text


def _dequantised(sources: Sequence[Source]) -> list[str]:
    quantised = [source for source in sources if source.info.dequantised]
    if not quantised:
        return []
    said = "; ".join(f"{s.role}, {plain(s.info.dequantised)}" for s in quantised)
    return [f"Quantised weights were read as bf16: {said}."]


def _sources(sources: Sequence[Source]) -> str:
    rows = [(source.role, _code(_name(source))) for source in sources]
    weights = [f"{source.weight:g}" for source in sources if source.weight is not None]
    if not weights:
        return _table(("role", "checkpoint"), rows)
    weighted = [(*row, weight) for row, weight in zip(rows, weights, strict=True)]
    return _table(("role", "checkpoint", "weight"), weighted)


def _name(source: Source) -> str:
    """The hub id and commit; of a local directory only its name: the card is made to be shared."""
    location = source.info.location
    return str(location) if location.repository else location.path.name


def _study(study: StudyFacts) -> list[str]:
    parts = ["## Recommendation", plain(study.recommendation)]
    if study.probes:
        parts.append(f"Measured on {', '.join(map(plain, study.probes))}.")
    if study.curve:
        rows = [
            (plain(p.label), percent(p.score, 1), f"{p.tokens:,.0f}", percent(p.think_ratio, 1))
            for p in study.curve
        ]
        parts.append(_table(("recipe", "Mean@k", "Token #N", "Think #R"), rows))
    return parts


def plain(text: str) -> str:
    """Words of others in one line of Markdown, or in a cell of its tables: no markup, no HTML.

    Source: https://spec.commonmark.org, section 2.4.
    """
    return _MARKUP.sub(r"\\\1", _line(text))


def _code(text: str) -> str:
    """Words of others as code in a cell of a table."""
    return "`" + _line(text).replace("`", "'").replace("|", "\\|") + "`"


def _line(text: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
