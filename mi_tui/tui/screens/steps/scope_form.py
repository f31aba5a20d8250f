"""The fields of the Scope form, from a draft and back."""

from collections.abc import Iterable
from dataclasses import replace

from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from mi_tui.present import numbers
from mi_tui.tui.forms.draft import Draft, ProbeDraft
from mi_tui.tui.widgets.choice import Checks, Choice, Option
from mi_tui.tui.widgets.form import FormRow, text_field, words
from mi_tui.tui.widgets.scope_map import ScopeMap

_NAME_WIDTH = 16
REFINE, TWO_KNOBS = "refine", "two-knobs"
"""What the search over λ may be followed by."""

FIELDS = {
    "grid": "row-grid",
    "layers": "row-layers",
    "modules": "row-modules",
    "temperature": "row-decoding",
    "top_p": "row-decoding",
    "top_k": "row-decoding",
    "recipes": "row-recipes",
    "samples": "row-samples",
    "max_rollouts": "row-limits",
    "max_tokens": "row-limits",
    "max_minutes": "row-limits",
    "probes": "row-samples",
    "instruct": "row-start",
    "thinking": "row-start",
    "limit": "row-start",
    "confidence": "row-start",
    "first_token": "row-start",
    "per_token": "row-start",
    "title": "row-start",
    "name": "row-name",
}
"""The draft's fields and the row that shows each one's problem; other steps' in the last row."""


def scope_rows(draft: Draft) -> Iterable[Widget]:
    """λ, layers, modules, decoding, probes, further rows, samples, limits."""
    yield FormRow("λ grid", text_field("grid", draft.grid), id="row-grid")
    yield FormRow(
        "",
        Checks(
            (
                Option(REFINE, "then refine where it decides"),
                Option(TWO_KNOBS, "then two knobs"),
            ),
            tuple(
                name
                for name, chosen in ((REFINE, draft.refine), (TWO_KNOBS, draft.two_knobs))
                if chosen
            ),
            id="refine",
        ),
    )
    yield FormRow(
        "Layers",
        text_field("layers", draft.layers, width=24),
        hint="all, 12-35 or 0-11,24-35",
        id="row-layers",
    )
    yield FormRow("Modules", ScopeMap(draft.modules, id="modules"), id="row-modules")
    yield FormRow(
        "The rest",
        Choice(
            (
                Option("instruct", "keeps Instruct's weights"),
                Option("thinking", "keeps Thinking's weights"),
            ),
            draft.outside,
            id="outside",
        ),
        id="row-outside",
    )
    yield FormRow(
        "Decoding",
        words("T"),
        text_field("temperature", draft.temperature, width=7),
        words("top-p"),
        text_field("top-p", draft.top_p, width=7),
        words("top-k"),
        text_field("top-k", draft.top_k, width=7),
        hint="T 0 is greedy",
        id="row-decoding",
    )
    with_ids = [probe_line(index, row) for index, row in enumerate(draft.probes)]
    yield Vertical(*with_ids, id="probe-rows")
    yield FormRow("Baselines", words(""), id="row-recipes")
    yield from _count_rows(draft)
    yield FormRow(
        "Engine",
        Choice(
            (
                Option("auto", "auto"),
                Option("transformers", "transformers"),
                Option("vllm", "vLLM"),
            ),
            draft.engine,
            id="engine",
        ),
        id="row-engine",
    )
    yield FormRow("Name", text_field("name", draft.name), hint="of the study", id="row-name")
    yield FormRow("", words(""), id="row-start")


def probe_line(index: int, row: ProbeDraft) -> FormRow:
    """The line of one probe: whether it is asked, how many problems, the cap of a response."""
    return FormRow(
        "" if index else "Probes",
        Checks((probe_option(index, row),), (index,) if row.asked else (), id=f"asked-{index}"),
        words("problems"),
        text_field(f"problems-{index}", row.problems, width=8, placeholder="all"),
        words("token cap"),
        text_field(f"cap-{index}", row.cap, width=9),
        id=f"row-probe-{index}",
    )


def probe_option(index: int, row: ProbeDraft) -> Option[int]:
    """A probe's switch: its name, with its weight where that is not 1."""
    weight = "" if row.plan.weight == 1.0 else f" ×{row.plan.weight:g}"
    name = numbers.cut(row.name, _NAME_WIDTH - len(weight)) + weight
    return Option(index, f"{name:<{_NAME_WIDTH}}")


def _count_rows(draft: Draft) -> Iterable[Widget]:
    yield FormRow(
        "Samples",
        text_field("samples", draft.samples, width=7),
        hint="per problem and recipe",
        id="row-samples",
    )
    yield FormRow(
        "Stop after",
        text_field("max-rollouts", draft.max_rollouts, width=9, placeholder="–"),
        words("rollouts"),
        text_field("max-tokens", draft.max_tokens, width=11, placeholder="–"),
        words("tokens"),
        text_field("max-minutes", draft.max_minutes, width=7, placeholder="–"),
        words("minutes"),
        id="row-limits",
    )


def read_rows(screen: Screen[None], draft: Draft) -> Draft:
    """The draft with what the rows hold now."""

    def text(id: str) -> str:
        return screen.query_one(f"#{id}", Input).value

    read = replace(
        draft,
        grid=text("grid"),
        refine=REFINE in screen.query_one("#refine", Checks).values,
        two_knobs=TWO_KNOBS in screen.query_one("#refine", Checks).values,
        layers=text("layers"),
        modules=screen.query_one("#modules", ScopeMap).values,
        outside=screen.query_one("#outside", Choice).value,
        temperature=text("temperature"),
        top_p=text("top-p"),
        top_k=text("top-k"),
        samples=text("samples"),
        max_rollouts=text("max-rollouts"),
        max_tokens=text("max-tokens"),
        max_minutes=text("max-minutes"),
        engine=screen.query_one("#engine", Choice).value,
        name=text("name"),
    )
    for index in range(len(draft.probes)):
        read = read.with_probe(
            index,
            asked=bool(screen.query_one(f"#asked-{index}", Checks).values),
            problems=text(f"problems-{index}"),
            cap=text(f"cap-{index}"),
        )
    return read
