"""Step 2: the budget, in words and with one number."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Input

from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import ABOUT
from mi_tui.plan.cautions import cautions
from mi_tui.plan.objective import OBJECTIVES
from mi_tui.plan.pair import Pair
from mi_tui.present.speed import CONVERTIBLE, tokens_and_seconds
from mi_tui.tui.forms.draft import Draft, default_limit
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import FormScreen, is_open
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.choice import Choice, Option
from mi_tui.tui.widgets.form import FormRow, Lead, text_field, words
from mi_tui.tui.widgets.step_header import Step

if TYPE_CHECKING:
    from mi_tui.study.known_speeds import KnownSpeed


class BudgetScreen(FormScreen):
    """The objective, its limit, how sure the answer must be, and how tokens become seconds."""

    STEP = Step.BUDGET
    HELP_PAGE = "budget"
    HAS_FORECAST = True
    FIELDS: ClassVar[dict[str, str]] = {
        "limit": "row-limit",
        "probe": "row-probe",
        "also": "row-also",
        "confidence": "row-confidence",
        "first_token": "row-server",
        "per_token": "row-server",
    }

    def __init__(self, draft: Draft, services: Services) -> None:
        super().__init__(draft)
        self._services = services
        self._thread = Background("speeds")
        self._known: KnownSpeed | None = None

    def compose_body(self) -> Iterable[Widget]:
        """Every objective; the limit's unit follows the objective."""
        draft = self.draft
        yield Lead(
            "What do you want from λ?", "You can ask another question of the same data later."
        )
        options = [Option(o.name, o.title, o.summary) for o in OBJECTIVES]
        yield Choice(options, draft.objective, id="objective", per_line=1)
        yield FormRow(
            "Limit", text_field("limit", draft.limit, width=12), words(""), id="row-limit"
        )
        yield FormRow(
            "Applies to",
            Choice(
                [Option("mean", "the mean"), Option("p95", "the 95th percentile")],
                draft.statistic,
                id="statistic",
            ),
            id="row-statistic",
        )
        yield FormRow("On", text_field("probe", draft.probe, width=24), id="row-probe")
        yield FormRow(
            "And",
            text_field("also", draft.also, width=38),
            hint="more limits (opt)",
            id="row-also",
        )
        yield FormRow(
            "Confidence",
            text_field("confidence", draft.confidence, width=12),
            hint="% probability that the limit is met",
            id="row-confidence",
        )
        yield FormRow(
            "About",
            Choice([Option(name, said) for name, said in ABOUT.items()], draft.about, id="about"),
            id="row-about",
        )
        yield FormRow(
            "Speed",
            Choice(
                (Option("measured", "of this machine"), Option("given", "of your server")),
                draft.speed,
                id="speed",
            ),
            id="row-speed",
        )
        yield FormRow(
            "",
            text_field("first-token", draft.first_token, width=9),
            words("ms to the first token, then"),
            text_field("per-token", draft.per_token, width=9),
            words("ms each"),
            id="row-server",
        )

    def on_mount(self) -> None:
        """Look up what an earlier study measured of this pair."""
        super().on_mount()
        start(self, self._look_up)

    def on_unmount(self) -> None:
        """Let the thread end."""
        self._thread.close()

    def collect(self) -> Draft:
        """The draft with this budget."""
        objective = self.query_one("#objective", Choice).value
        if objective != self.draft.objective:
            self.query_one("#limit", Input).value = default_limit(objective)
        return replace(
            self.draft.with_objective(objective),
            limit=self.query_one("#limit", Input).value,
            statistic=self.query_one("#statistic", Choice).value,
            probe=self.query_one("#probe", Input).value,
            also=self.query_one("#also", Input).value,
            confidence=self.query_one("#confidence", Input).value,
            about=self.query_one("#about", Choice).value,
            speed=self.query_one("#speed", Choice).value,
            first_token=self.query_one("#first-token", Input).value,
            per_token=self.query_one("#per-token", Input).value,
        )

    def show_checked(self) -> None:
        """Also show the unit, and the question in words."""
        super().show_checked()
        objective = OBJECTIVES[self.draft.objective]
        limit = objective.limit
        row = self.query_one("#row-limit", FormRow)
        row.show_hint("no limit needed" if limit is None else limit.unit)
        row.query_one("#limit", Input).disabled = limit is None
        budget = self.checked.preset.budget if self.checked.preset else None
        axes = {one.axis for one in budget.limits} if budget else {limit.axis if limit else None}
        convertible = bool(axes.intersection(CONVERTIBLE))
        names = [row.name for row in self.draft.probes if row.asked]
        on_one = limit is not None and (len(names) > 1 or bool(self.draft.probe.strip()))
        self.query_one("#row-probe", FormRow).show_hint(f"all probes, or {' or '.join(names)}")
        self.query_one("#row-probe").set_class(not on_one, "-hidden")
        self.query_one("#row-statistic").set_class(not objective.takes_statistic, "-hidden")
        self.query_one("#row-speed").set_class(not convertible, "-hidden")
        given = convertible and self.draft.speed == "given"
        self.query_one("#row-server").set_class(not given, "-hidden")
        self.show_forecast()

    async def _look_up(self) -> None:
        instruct, thinking = self.draft.instruct.strip(), self.draft.thinking.strip()
        if not instruct or not thinking:
            return
        pair = Pair(instruct=instruct, thinking=thinking)
        try:
            self._known = await self._thread.run(lambda: self._services.known_speed(pair))
        except MiTuiError:
            return  # Without an earlier study the speed is measured when this one starts.
        if is_open(self):
            self.show_forecast()

    def forecast(self, *, wide: bool) -> Text:
        """The question in words, and what its limit means in the other unit."""
        preset = self.checked.preset
        if preset is None:
            wrong = self.checked.of(*self.FIELDS)
            return Text("Fill in the fields." if wrong else "Complete the other steps first.")
        label, strong = self.colour("secondary"), f"bold {self.colour('accent')}"
        budget = preset.budget
        sure = f", met with {100 * budget.confidence:g} % probability" if budget.limits else ""
        goal = budget.in_words.removeprefix("the ")
        text = Text.assemble(
            ("In words\n" if wide else "", label),
            "Find the λ with the ",
            (goal, strong),
            f"{sure}.",
        )
        for caution in cautions(preset):
            text.append(f"\n! {caution}.", self.colour("warning"))
        lines = tokens_and_seconds(budget, preset.server, self._known)
        if lines:
            text.append("\n\nIn time\n" if wide else "\n", label)
            text.append(lines[0])
        for line in lines[1:]:
            text.append(f"\n{line}", label)
        return text
