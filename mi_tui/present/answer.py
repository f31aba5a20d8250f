"""A recommendation in words and columns."""

from rich.table import Table
from rich.text import Text

from mi_tui.analysis.results import Estimate, Recommendation
from mi_tui.present import numbers
from mi_tui.present.colours import Colours


def headline(colours: Colours, answer: Recommendation) -> Text:
    """λ large and first, whether it is settled, and the sentence."""
    if not answer.feasible:
        sign, words, colour = "✗", "no λ meets the budget: this is the nearest", "error"
    elif not answer.resolved:
        sign, words, colour = "!", "not settled yet", "warning"
    else:
        sign, words, colour = "✓", "settled", "success"
    return Text.assemble(
        (f" λ = {answer.lambda_:g} ", f"bold reverse {colours('primary')}"),
        (f"  {answer.recipe.label}", "bold"),
        (f"   {sign} {words}", colours(colour)),
        f"\n{answer.sentence}",
    )


def measures(colours: Colours, answer: Recommendation) -> Text:
    """The numbers behind the answer, one per line."""
    stage = f"stage {numbers.stage_sign(answer.stage)}" if answer.stage else ""
    saved, given_up = answer.tokens_saved, answer.score_given_up
    lines = [
        ("Score", _percent(answer.score), _against(given_up, "points below", "points above")),
        ("Tokens", _tokens(answer.tokens), _against(saved, "% fewer than", "% more than")),
        ("Think #R", _percent(answer.think_ratio), stage),
        ("λ interval", f"{answer.lambda_low:.2f} – {answer.lambda_high:.2f}", "90 % credible"),
    ]
    if answer.seconds is not None:
        shown = f"{numbers.seconds(answer.seconds.value)}"
        span = f"{numbers.seconds(answer.seconds.low)} – {numbers.seconds(answer.seconds.high)}"
        lines.insert(2, ("Latency", f"{shown:<9} {span}", "projected"))
    if answer.budget.limit is not None:
        words = f"of {answer.budget.spec}; {100 * answer.budget.confidence:g} % wanted"
        lines.append(("Meets it", numbers.percent(answer.probability), words))
    if not answer.resolved and answer.more_rollouts:
        more = f"about {answer.more_rollouts:,} more rollouts"
        if answer.more_seconds:
            more += f", {numbers.duration(answer.more_seconds)}"
        lines.append(("To settle", more, ""))
    if answer.confirmation is not None:
        lines.append(("Held out", _percent(answer.confirmation.score), answer.confirmation.dtype))
    text = Text()
    for label, value, words in lines:
        text.append(f"{label:<13}", style=colours("secondary"))
        text.append(f"{value:<28}")
        text.append(f"{words}\n", style=colours("secondary"))
    text.rstrip()
    return text


def in_words(colours: Colours, answer: Recommendation) -> str:
    """The whole answer as plain text: the sentence, the numbers, the other points."""
    confirmed = [answer.confirmation.sentence] if answer.confirmation else []
    others = [f"Or: {other.sentence}" for other in answer.alternatives]
    parts = [f"{answer.recipe.label}, for {answer.budget.in_words}", answer.sentence, *confirmed]
    return "\n".join([*parts, "", measures(colours, answer).plain, "", *others]).rstrip() + "\n"


def alternatives(colours: Colours, answer: Recommendation) -> Table:
    """The other points of the front, one sentence each."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=12, style=colours("secondary"))
    for number, other in enumerate(answer.alternatives):
        table.add_row("" if number else "Or", Text(other.sentence))
    return table


def _percent(estimate: Estimate) -> str:
    span = f"{100 * estimate.low:.1f} – {100 * estimate.high:.1f}"
    return f"{numbers.percent(estimate.value, 1):<9} {span}"


def _tokens(estimate: Estimate) -> str:
    span = f"{numbers.count(estimate.low)} – {numbers.count(estimate.high)}"
    return f"{numbers.count(estimate.value):<9} {span}"


def _against(difference: Estimate, positive: str, negative: str) -> str:
    words = positive if difference.value >= 0 else negative
    return f"{100 * abs(difference.value):.1f} {words} Thinking's"
