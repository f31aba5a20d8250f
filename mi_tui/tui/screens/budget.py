"""Step 2: what the user wants from λ, in words and with one number."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Input, Rule, Static

from mi_tui.plan.budget import Objective
from mi_tui.tui.draft import EXAMPLES, Draft
from mi_tui.tui.screens.base import FormScreen
from mi_tui.tui.widgets.choice import Choice, Option
from mi_tui.tui.widgets.form import FormRow, Lead, text_field, words
from mi_tui.tui.widgets.step_header import Step

OBJECTIVES = (
    Option(Objective.KNEE, "The knee", "where more tokens stop buying score"),
    Option(Objective.WITHIN_TOKENS, "Best score within tokens", "a limit on response length"),
    Option(Objective.WITHIN_SECONDS, "Best score within seconds", "a limit on latency"),
    Option(Objective.FOR_SCORE, "Fewest tokens for a score", "a score that must be reached"),
    Option(Objective.FOR_SHARE, "Fewest tokens for a share", "a share of Thinking's score"),
)

UNITS = {
    Objective.WITHIN_TOKENS: "tokens per response",
    Objective.WITHIN_SECONDS: "seconds per response",
    Objective.FOR_SCORE: "% correct",
    Objective.FOR_SHARE: "% of Thinking's score",
    Objective.KNEE: "no limit needed",
}

_HELD_ON = (Objective.WITHIN_TOKENS, Objective.WITHIN_SECONDS)


class BudgetScreen(FormScreen):
    """The objective, its limit, and how sure the answer must be."""

    STEP = Step.BUDGET
    HELP_PAGE = "budget"
    FIELDS: ClassVar[dict[str, str]] = {"limit": "row-limit", "confidence": "row-confidence"}

    def compose_body(self) -> Iterable[Widget]:
        """Five objectives; the limit's unit follows the objective."""
        draft = self.draft
        yield Lead(
            "What do you want from λ?", "You can ask another question of the same data later."
        )
        yield Choice(OBJECTIVES, draft.objective, id="objective", per_line=1)
        yield FormRow(
            "Limit", text_field("limit", draft.limit, width=12), words(""), id="row-limit"
        )
        yield FormRow(
            "Held",
            Choice(
                (Option("mean", "on average"), Option("p95", "for 95 % of responses")),
                draft.statistic,
                id="statistic",
            ),
            id="row-statistic",
        )
        yield FormRow(
            "Confidence",
            text_field("confidence", draft.confidence, width=12),
            hint="% probability that the limit is met",
            id="row-confidence",
        )
        yield Rule(line_style="heavy")
        yield Static("In words", classes="heading", markup=False)
        yield Static("", id="in-words", markup=False)

    def collect(self) -> Draft:
        """The draft with this budget."""
        objective = self.query_one("#objective", Choice).value
        if objective is not self.draft.objective:
            self.query_one("#limit", Input).value = EXAMPLES[objective]
        return replace(
            self.draft.with_objective(objective),
            limit=self.query_one("#limit", Input).value,
            statistic=self.query_one("#statistic", Choice).value,
            confidence=self.query_one("#confidence", Input).value,
        )

    def show_checked(self) -> None:
        """Also show the unit, and the question in words."""
        super().show_checked()
        objective = self.draft.objective
        row = self.query_one("#row-limit", FormRow)
        row.show_hint(UNITS[objective])
        row.query_one("#limit", Input).disabled = objective is Objective.KNEE
        self.query_one("#row-statistic").set_class(objective not in _HELD_ON, "-hidden")
        self.query_one("#in-words", Static).update(self._in_words())

    def _in_words(self) -> Text:
        preset = self.checked.preset
        if preset is None:
            wrong = self.checked.of("limit", "confidence")
            return Text("Fill in the limit." if wrong else "Complete the other steps first.")
        budget = preset.budget
        sure = f", met with {100 * budget.confidence:g} % probability" if budget.limit else ""
        words = budget.in_words.removeprefix("the ")
        return Text(f"Find the λ with the {words}{sure}.")
