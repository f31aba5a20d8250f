"""A recommendation in words and columns."""

from rich.table import Table
from rich.text import Text

from mi_tui.analysis.results import Estimate, LimitOutcome, Recommendation
from mi_tui.plan.budget import parse_budget
from mi_tui.present import numbers, signs
from mi_tui.present.colours import Colours
from mi_tui.study.view import StudyState, StudyView


def headline(colours: Colours, answer: Recommendation, stopped: str = "") -> Text:
    """λ large and first, whether it is settled, and the sentence.

    ``stopped`` is what ended the study, if it has ended: an answer that is not settled then says
    so.
    """
    if not answer.recommended:
        return Text.assemble(
            ("  ✗ nothing is recommended", colours("error")), f"\n{answer.sentence}"
        )
    if not answer.feasible:
        sign, words, colour = "✗", "no λ meets the budget: this is the nearest", "error"
    elif not answer.resolved:
        sign, words, colour = "!", unsettled(stopped), "warning"
    else:
        sign, words, colour = "✓", "settled", "success"
    return Text.assemble(
        (f" λ = {numbers.lambda_(answer.lambda_)} ", f"bold reverse {colours('primary')}"),
        (f"  {answer.recipe.label}", "bold"),
        (f"   {sign} {words}", colours(colour)),
        f"\n{answer.sentence}",
    )


def what_ended(view: StudyView) -> str:
    """What ended a study, in words; empty while it can go on."""
    return view.message if view.state is StudyState.DONE else ""


def unsettled(stopped: str = "") -> str:
    """That an answer is not settled, and what ended the study before it was."""
    return f"stopped before it was settled: {stopped}" if stopped else "not settled yet"


def measures(colours: Colours, answer: Recommendation) -> Text:
    """The numbers behind the answer, one per line; nothing where nothing is recommended."""
    if not answer.recommended:
        return Text()
    stage = f"stage {signs.stage(answer.stage)}" if answer.stage else ""
    less_score = _against(answer.score_given_up, "points below", "points above")
    fewer_tokens = _against(answer.tokens_saved, "% fewer than", "% more than")
    lines = [
        ("Score", numbers.percent_range(answer.score), less_score),
        ("Tokens", numbers.token_range(answer.tokens), fewer_tokens),
        ("Think #R", numbers.percent_range(answer.think_ratio), stage),
        ("λ interval", f"{answer.lambda_low:.2f} – {answer.lambda_high:.2f}", "95 % credible"),
    ]
    if answer.seconds is not None:
        lines.insert(2, ("Latency", numbers.seconds_range(answer.seconds), "projected"))
    if answer.budget.limits:
        wanted = f"{100 * answer.budget.confidence:g} % wanted"
        several = len(answer.budget.limits) > 1
        words = f"together; {wanted}" if several else f"of {answer.budget.spec}; {wanted}"
        label = f"Meets all {len(answer.budget.limits)}" if several else "Meets it"
        lines.append((label, numbers.percent(answer.probability), words))
    lines += [limit_line(limit) for limit in answer.limits]
    if not answer.resolved and answer.more_rollouts:
        more = f"about {answer.more_rollouts:,} more rollouts"
        if answer.more_seconds:
            more += f", {numbers.duration(answer.more_seconds)}"
        lines.append(("To settle", more, ""))
    if answer.confirmation is not None:
        score = numbers.percent_range(answer.confirmation.score)
        lines.append(("Held out", score, answer.confirmation.dtype))
    text = Text()
    for label, value, words in lines:
        text.append(f"{label:<13}", style=colours("secondary"))
        text.append(f"{value:<28}")
        text.append(f"{words}\n", style=colours("secondary"))
    text.rstrip()
    return text


def limit_line(limit: LimitOutcome) -> tuple[str, str, str]:
    """One of several limits: how surely it is kept, what was measured, and that it binds."""
    words = f"{limit.limit}{' · binds' if limit.binds else ''}"
    return f"Kept {numbers.percent(limit.probability)}", limit_measured(limit), words


def limit_measured(limit: LimitOutcome) -> str:
    """What a limit is on, at the recommended λ, with its interval; empty where unknown."""
    if limit.measured is None:
        return ""
    (constraint,) = parse_budget(limit.limit).limits
    if constraint.axis == "seconds":
        return numbers.seconds_range(limit.measured)
    if constraint.axis == "tokens":
        return numbers.token_range(limit.measured)
    return numbers.percent_range(limit.measured)


def in_words(colours: Colours, answer: Recommendation) -> str:
    """The whole answer as plain text: the sentence, the numbers, the other points."""
    budget, *sentences = answer_lines(answer)
    if not answer.recommended:
        return "\n".join([budget, *sentences]) + "\n"
    count = len(sentences) - len(answer.alternatives)
    parts = [answer.recipe.label, budget, *sentences[:count]]
    measured = measures(colours, answer).plain
    return "\n".join([*parts, "", measured, "", *sentences[count:]]).rstrip() + "\n"


def alternatives(colours: Colours, answer: Recommendation) -> Table:
    """The other points of the front, one sentence each."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=12, style=colours("secondary"))
    for number, other in enumerate(answer.alternatives if answer.recommended else ()):
        table.add_row("" if number else "Or", Text(other.sentence))
    return table


def _against(difference: Estimate, positive: str, negative: str) -> str:
    words = positive if difference.value >= 0 else negative
    return f"{100 * abs(difference.value):.1f} {words} Thinking's"


def answer_lines(answer: Recommendation, stopped: str = "") -> list[str]:
    """The answer, what it gives up, and the alternatives, a sentence a line.

    ``stopped`` is what ended the study, if it has ended.
    """
    if not answer.recommended:
        return [f"Budget: {answer.budget.in_words}.", answer.sentence]
    confirmed = [answer.confirmation.sentence] if answer.confirmation else []
    others = [f"Or: {other.sentence}" for other in answer.alternatives]
    open_ = [] if answer.resolved or not stopped else [f"The study {unsettled(stopped)}."]
    return [f"Budget: {answer.budget.in_words}.", answer.sentence, *open_, *confirmed, *others]


def so_far(answer: Recommendation) -> str:
    """The answer of a study that has not ended."""
    return f"so far: {answer.sentence}"
