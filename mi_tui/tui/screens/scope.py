"""Step 3: which λ, layers, modules, decoding and probes, and what that costs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Rule, Static

from mi_tui.tui import formats
from mi_tui.tui.draft import Draft, module_names
from mi_tui.tui.messages import ShowExample, StartStudy
from mi_tui.tui.screens.base import FormScreen
from mi_tui.tui.widgets.choice import Checks, Choice, Option
from mi_tui.tui.widgets.form import FormRow, Lead, text_field, words
from mi_tui.tui.widgets.step_header import Step


class ScopeScreen(FormScreen):
    """What the study tries and asks; Enter starts it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f4,e",
            "example",
            "Example",
            id="scope.example",
            tooltip="One problem of each probe, as the model will see it",
        ),
    ]
    STEP = Step.SCOPE
    HELP_PAGE = "scope"
    FIELDS: ClassVar[dict[str, str]] = {
        "grid": "row-grid",
        "layers": "row-layers",
        "modules": "row-modules",
        "temperature": "row-decoding",
        "top_p": "row-decoding",
        "top_k": "row-decoding",
        "samples": "row-samples",
        "max_rollouts": "row-limits",
        "max_tokens": "row-limits",
        "max_minutes": "row-limits",
        "instruct": "row-start",
        "thinking": "row-start",
        "limit": "row-start",
        "confidence": "row-start",
        "title": "row-start",
        "probes": "row-start",
    }

    def compose_body(self) -> Iterable[Widget]:
        """λ, scope, decoding, probes, limits; the cost below."""
        yield Lead("What is tried, and on what?", "The defaults follow the paper.")
        yield from self._lambda_rows()
        yield from self._probe_rows()
        yield from self._limit_rows()
        yield Rule(line_style="heavy")
        yield FormRow("Cost", Static("", id="cost", markup=False), id="row-start")

    def _lambda_rows(self) -> Iterable[Widget]:
        draft = self.draft
        yield FormRow("λ grid", text_field("grid", draft.grid), id="row-grid")
        yield FormRow(
            "",
            Checks(
                (Option(True, "then refine: more λ and samples where they decide most"),),
                (True,) if draft.refine else (),
                id="refine",
            ),
        )
        yield FormRow(
            "Layers",
            text_field("layers", draft.layers, width=24),
            hint="all, 12-35 or 0-11,24-35",
            id="row-layers",
        )
        yield FormRow(
            "Modules",
            Checks(
                [Option(kind, name) for kind, name, _ in module_names(draft.modules)],
                draft.modules,
                id="modules",
                per_line=3,
            ),
            id="row-modules",
        )
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

    def _probe_rows(self) -> Iterable[Widget]:
        for index, row in enumerate(self.draft.probes):
            yield FormRow(
                "" if index else "Probes",
                Checks(
                    (Option(index, formats.cut(row.name, 20)),),
                    (index,) if row.asked else (),
                    id=f"asked-{index}",
                ),
                words("problems"),
                text_field(f"problems-{index}", row.problems, width=8, placeholder="all"),
                words("token cap"),
                text_field(f"cap-{index}", row.cap, width=9),
                id=f"row-probe-{index}",
            )

    def _limit_rows(self) -> Iterable[Widget]:
        draft = self.draft
        yield FormRow(
            "Samples",
            text_field("samples", draft.samples, width=7),
            hint="per problem and λ of the grid",
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

    def fields(self) -> dict[str, str]:
        """The fixed fields and those of each probe."""
        probes = {
            f"{name}-{index}": f"row-probe-{index}"
            for index in range(len(self.draft.probes))
            for name in ("problems", "cap")
        }
        return {**self.FIELDS, **probes}

    def collect(self) -> Draft:
        """The draft with this scope."""
        draft = replace(
            self.draft,
            grid=self._text("grid"),
            refine=bool(self.query_one("#refine", Checks).values),
            layers=self._text("layers"),
            modules=self.query_one("#modules", Checks).values,
            outside=self.query_one("#outside", Choice).value,
            temperature=self._text("temperature"),
            top_p=self._text("top-p"),
            top_k=self._text("top-k"),
            samples=self._text("samples"),
            max_rollouts=self._text("max-rollouts"),
            max_tokens=self._text("max-tokens"),
            max_minutes=self._text("max-minutes"),
        )
        for index in range(len(draft.probes)):
            draft = draft.with_probe(
                index,
                asked=bool(self.query_one(f"#asked-{index}", Checks).values),
                problems=self._text(f"problems-{index}"),
                cap=self._text(f"cap-{index}"),
            )
        return draft

    def show_checked(self) -> None:
        """Also show what the study costs at most."""
        super().show_checked()
        everything = not self.checked.of("layers", "modules") and self._whole_model()
        self.query_one("#row-outside").set_class(everything, "-hidden")
        self.query_one("#cost", Static).update(self._cost())

    def ready_words(self) -> Text:
        """Enter starts the study here."""
        return Text.assemble(("✓ ", self.colour("success")), "Enter starts the study")

    def go_on(self) -> None:
        """Ask for the study to be started."""
        if self.checked.preset is not None:
            self.post_message(StartStudy(self.checked.preset))

    def action_example(self) -> None:
        """Ask for an example of each probe."""
        if self.checked.preset is None:
            self.notify("The fields in red must be valid first.", severity="warning")
        else:
            self.post_message(ShowExample(self.checked.preset))

    def _whole_model(self) -> bool:
        preset = self.checked.preset
        return preset is not None and preset.scope.is_full

    def _text(self, id: str) -> str:
        return self.query_one(f"#{id}", Input).value

    def _cost(self) -> Text:
        preset = self.checked.preset
        if preset is None:
            return Text(formats.MISSING)
        recipes = len(preset.search.grid) + len(preset.recipes)
        counted = [probe for probe in preset.probes if probe.problems is not None]
        if len(counted) < len(preset.probes):
            return Text(f"{recipes} recipes × all problems × {preset.search.samples} samples")
        problems = sum(probe.problems or 0 for probe in counted)
        cap = sum((probe.problems or 0) * probe.max_new_tokens for probe in counted)
        each = recipes * preset.search.samples
        return Text(
            f"{recipes} recipes × {problems} problems × {preset.search.samples} samples"
            f" = {problems * each:,} rollouts, {formats.count(cap * each)} tokens at most"
        )
