"""Step 3: λ, layers, modules, decoding and probes, with the forecast of their cost."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Label

from mi_tui.checkpoints.network import Network
from mi_tui.errors import MiTuiError
from mi_tui.plan.cautions import cautions
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.recipe import Decoding, labels
from mi_tui.plan.scope import parse_layers
from mi_tui.present import numbers
from mi_tui.present.forecast import StudyForecast, in_brief, in_full
from mi_tui.tui.forms.draft import Draft, probe_row, proposed
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import FormScreen, is_open
from mi_tui.tui.screens.steps.scope_form import (
    FIELDS,
    probe_line,
    probe_option,
    read_rows,
    scope_rows,
)
from mi_tui.tui.studies.messages import ShowExample, StartStudy
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.choice import Checks
from mi_tui.tui.widgets.form import FormRow, Lead
from mi_tui.tui.widgets.scope_map import ScopeMap
from mi_tui.tui.widgets.step_header import Step

if TYPE_CHECKING:
    from mi_tui.engines.choice import EngineChoice

_PAUSE = 0.3
"""Seconds without a change before the engine is asked for."""


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
        Binding(
            "f5,a", "add_probe", "Add", id="scope.add-probe", tooltip="Add a probe of any kind"
        ),
        Binding(
            "f6,w",
            "edit_probe",
            "Edit",
            id="scope.edit-probe",
            tooltip="All settings of the probe whose line has the cursor: weight, difficulty, file",
        ),
        Binding(
            "f7,b",
            "further_rows",
            "Baselines",
            id="scope.rows",
            tooltip="Task arithmetic, TIES and other rows beside the search",
        ),
    ]
    STEP = Step.SCOPE
    HELP_PAGE = "scope"
    FIELDS = FIELDS
    HAS_FORECAST = True

    def __init__(self, draft: Draft, services: Services) -> None:
        super().__init__(draft)
        self._services = services
        self._thread = Background("scope")
        self._network: Network | None = None
        self._sizes: dict[str, int | None] = {}
        self._unread: dict[str, str] = {}
        self._forecast: StudyForecast | None = None
        self._engine: EngineChoice | None = None
        self._engine_of: object = None
        self._pair = self._named_pair()

    def compose_body(self) -> Iterable[Widget]:
        """The question and the rows."""
        yield Lead("What is tried, and on what?")
        yield from scope_rows(self.draft)

    def on_mount(self) -> None:
        """Look up the pair's network, and what was measured of it before."""
        super().on_mount()
        start(self, self._look_up, group="look up")

    def on_unmount(self) -> None:
        """Let the thread end."""
        self._thread.close()

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
        return read_rows(self, self.draft)

    def show_checked(self) -> None:
        """Also draw the network and what the study costs."""
        super().show_checked()
        preset = self.checked.preset
        everything = preset is not None and preset.scope.is_full
        self.query_one("#row-outside").set_class(everything, "-hidden")
        if not self.checked.of("layers"):
            layers = parse_layers(self.draft.layers.strip() or "all")
            self.query_one(ScopeMap).show_layers(layers)
        rows = self.query_one("#row-recipes", FormRow)
        rows.query_one(".form-words", Label).update(Text(self._rows_words()))
        if preset is not None:
            self.query_one("#name", Input).placeholder = proposed(preset)
            self._show_cost(preset)
            if (unread := self._unread_source(preset)) is not None:
                row, problem = unread
                self.query_one(f"#{row}", FormRow).show_problem(problem)
                self.show_status(Text(f"✗ {problem}", self.colour("error")))

    def ready_words(self) -> Text:
        """Enter starts the study here; a word before where something looks like a slip."""
        preset = self.checked.preset
        if self._engine is not None and (problem := self._engine.memory.problem):
            return Text(f"✗ {problem}", self.colour("error"))
        if preset is not None and (found := cautions(preset, self._longest)):
            return Text(f"! {found[0]}. Enter starts the study", self.colour("warning"))
        return Text.assemble(("✓ ", self.colour("success")), "Enter starts the study")

    def go_on(self) -> None:
        """Ask for the study to be started, unless a probe's file cannot be read."""
        preset = self.checked.preset
        if preset is None:
            return
        if (unread := self._unread_source(preset)) is not None:
            self.app.bell()
            self._focus_row(unread[0])
            self.notify(f"{unread[1]}: f6 edits the probe", severity="error", markup=False)
        else:
            self.post_message(StartStudy(preset, self.draft.name.strip()))

    def _unread_source(self, preset: Preset) -> tuple[str, str] | None:
        """The row of the first probe whose file cannot be read, and why."""
        asked = [index for index, row in enumerate(self.draft.probes) if row.asked]
        for index, plan in zip(asked, preset.probes, strict=True):
            if plan.key in self._unread:
                return f"row-probe-{index}", self._unread[plan.key]
        return None

    def action_example(self) -> None:
        """Ask for an example of each probe."""
        if self.checked.preset is None:
            self.notify("The fields in red must be valid first.", severity="warning")
        else:
            self.post_message(ShowExample(self.checked.preset))

    def action_add_probe(self) -> None:
        """Choose a kind of probe, fill it in, and put it below the others."""
        from mi_tui.tui.screens.dialogs.probe_kinds import CatalogueScreen

        async def add(plan: AnyProbe | None) -> None:
            if plan is None:
                return
            row = probe_row(plan)
            index = len(self.draft.probes)
            await self.query_one("#probe-rows", Vertical).mount(probe_line(index, row))
            self.draft = replace(self.draft, probes=(*self.draft.probes, row))
            self.read_again()

        self.app.push_screen(CatalogueScreen(self._pair, self._services), add)

    def action_edit_probe(self) -> None:
        """Edit the probe whose line has the cursor, or the first."""
        from mi_tui.tui.screens.dialogs.probe_form import ProbeFormScreen

        index = self._probe_under_cursor()
        row = self.collect().probes[index]
        plan = row.plan
        if not self.checked.of(f"problems-{index}", f"cap-{index}"):
            changes = {"problems": int(row.problems or 0) or None, "max_new_tokens": int(row.cap)}
            plan = plan.model_copy(update=changes)

        def edit(read: AnyProbe | None) -> None:
            if read is not None:
                self._take_probe(index, read)

        self.app.push_screen(ProbeFormScreen(plan, "Edit", self._services), edit)

    def action_further_rows(self) -> None:
        """Edit the baselines and the other rows beside the search."""
        from mi_tui.tui.screens.dialogs.baselines import Rows, RowsScreen

        preset = self.checked.preset
        decoding = preset.decoding if preset else Decoding()

        def take(rows: Rows | None) -> None:
            if rows is not None:
                recipes, base = rows
                self.draft = replace(self.draft, recipes=recipes, base=base)
                self.read_again()

        self.app.push_screen(RowsScreen(self.draft.recipes, self.draft.base, decoding), take)

    def _take_probe(self, index: int, plan: AnyProbe) -> None:
        row = probe_row(plan)
        self.draft = self.draft.with_probe(index, plan=plan)
        self.query_one(f"#asked-{index}", Checks).offer((probe_option(index, row),))
        self.query_one(f"#problems-{index}", Input).value = row.problems
        self.query_one(f"#cap-{index}", Input).value = row.cap
        self.draft = self.collect()
        self.read_again()

    def _probe_under_cursor(self) -> int:
        line = self.query("#probe-rows FormRow:focus-within")
        found = line.first().id if line else None
        return int(str(found).rpartition("-")[2]) if found else 0

    def _rows_words(self) -> str:
        recipes = self.draft.recipes
        if not recipes:
            return "none  (f7 adds baselines)"
        room = max(self.size.width - (62 if self.has_class("-wide") else 22), 20)
        shown = f"{len(recipes)}: {', '.join(labels(recipes))}" if len(recipes) > 2 else None
        return numbers.cut(shown or ", ".join(labels(recipes)), room)

    @property
    def _longest(self) -> int | None:
        return self._network.context if self._network else None

    def _named_pair(self) -> Pair | None:
        draft = self.draft
        if not draft.instruct.strip() or not draft.thinking.strip():
            return None
        return Pair(instruct=draft.instruct.strip(), thinking=draft.thinking.strip())

    async def _look_up(self) -> None:
        pair = self._pair
        if pair is None:
            return
        try:
            self._network = await self._thread.run(lambda: self._services.network(pair))
        except MiTuiError:
            return  # The Models step says what is wrong with the pair.
        if not is_open(self):
            return
        gap = self._services.known_gap(pair)
        known = {} if gap is None else {(c.layer, c.kind): c.sigma for c in gap.cells}
        self.query_one(ScopeMap).show_network(self._network, known)
        self.show_checked()
        speed = await self._thread.run(lambda: self._services.known_speed(pair))
        if is_open(self) and self._forecast is not None:
            self._forecast = replace(self._forecast, speed=speed)
            self.show_forecast()

    def _show_cost(self, preset: Preset) -> None:
        sizes = tuple(self._sizes.get(plan.key) for plan in preset.probes)
        speed = self._forecast.speed if self._forecast else None
        self._forecast = StudyForecast(preset, sizes, speed, self._engine)
        self.show_forecast()
        self._choose_engine(preset)
        if any(plan.key not in self._sizes for plan in preset.probes):
            start(self, partial(self._count, preset), group="count")

    def _choose_engine(self, preset: Preset) -> None:
        """Ask which engine it will be, when what that depends on has changed."""
        depends = preset.pair, preset.engine, preset.longest_cap
        if depends != self._engine_of:
            self._engine_of = depends
            start(self, partial(self._ask_engine, preset), group="engine")

    async def _ask_engine(self, preset: Preset) -> None:
        await asyncio.sleep(_PAUSE)  # the cap is being typed
        self._engine = await self._thread.run(partial(self._services.engine_choice, preset))
        if is_open(self) and self._forecast is not None:
            self._forecast = replace(self._forecast, engine=self._engine)
            problem = self._engine.memory.problem if self._engine else ""
            self.query_one("#row-engine", FormRow).show_problem(problem)
            self.show_forecast()
            if problem and not self.checked.problems:
                self.show_status(self.ready_words())

    async def _count(self, preset: Preset) -> None:
        """Count the problems of each probe; a file is read for it."""
        for plan in preset.probes:
            if plan.key in self._sizes:
                continue
            try:
                size = await self._thread.run(partial(self._services.problem_count, plan))
            except MiTuiError as error:
                self._unread[plan.key], size = str(error), None
            self._sizes[plan.key] = size
        if is_open(self) and self.checked.preset is not None:
            self.show_checked()

    def forecast(self, *, wide: bool) -> Text | None:
        """What the study costs and what it can tell."""
        if self._forecast is None:
            return None
        styles = self.colour("secondary"), f"bold {self.colour('accent')}"
        return (in_full if wide else in_brief)(self._forecast, *styles)
