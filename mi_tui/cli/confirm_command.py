"""The command ``confirm``: a running server against what the study predicts."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mi_tui.cli.options import BudgetOption, Json, StudyArgument
from mi_tui.errors import MiTuiError, StoppedError
from mi_tui.text.percent import percent
from mi_tui.text.plurals import counted

if TYPE_CHECKING:
    from mi_tui.analysis.results import Estimate
    from mi_tui.study.confirmation.server_confirmation import ServerConfirmation

KEY_VARIABLE = "MI_TUI_API_KEY"
DIFFERS = 3
"""The exit status when a measure lies outside its prediction."""


def confirm(
    study: StudyArgument,
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="Address of an OpenAI-compatible server.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", help="The model's name there; default: the only one, or each λ."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Answers to each held-out problem.")
    ] = 4,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Requests at once.")] = 8,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1.0, help="Seconds that the server may be silent.")
    ] = 600.0,
    key_from: Annotated[
        str,
        typer.Option("--key-from", help="Environment variable that holds the server's API key."),
    ] = KEY_VARIABLE,
    budget: BudgetOption = None,
    json_: Json = False,
) -> None:
    """Ask a server that runs the exported checkpoint the held-out problems; compare with the
    prediction. A server with λ per request (mi-tui serve) is asked at each λ that it offers. The
    same command resumes one that was stopped. Exit status 0 when it holds, 3 when it does not."""
    from mi_tui.api.study import Study
    from mi_tui.cli.console import out, print_json
    from mi_tui.probes.text import shown_line

    if key_from != KEY_VARIABLE and key_from not in os.environ:
        raise MiTuiError(f"--key-from: the environment has no variable {key_from}")
    with Study.load(study) as opened, _telling_what_is_kept(), _progress() as show:
        found = opened.confirm(
            endpoint,
            model=model,
            samples=samples,
            concurrency=concurrency,
            api_key=os.environ.get(key_from, ""),
            timeout=timeout,
            budget=budget,
            progress=show,
        )
    if json_:
        said = [{**one.model_dump(mode="json", by_alias=True), "holds": one.holds} for one in found]
        print_json(said[0] if len(said) == 1 else said)
    else:
        for line in (line for one in found for line in confirmation_lines(one)):
            out().print(shown_line(line), markup=False)
    if not all(one.holds for one in found):
        raise typer.Exit(DIFFERS)


@contextmanager
def _telling_what_is_kept() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = "the answers so far are kept, and the same command resumes"
        raise StoppedError(f"stopped: {kept}") from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A function to call with answers done and in all; the line is left when the block is."""
    drawn = False

    def show(done: int, total: int) -> None:
        nonlocal drawn
        if sys.stderr.isatty():
            drawn = True
            print(f"\r{done}/{total} answers", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if drawn:
            print(file=sys.stderr)


def confirmation_lines(found: "ServerConfirmation") -> list[str]:
    """What was asked, each measure beside its prediction, and the speed."""
    which = "held-out problems" if found.held_out else "problems (the study holds none out)"
    named = f" ({', '.join(found.efforts)})" if found.efforts else ""
    lines = [
        f"{found.recipe.label}{named} as {found.model} at {found.url}: {found.problems} {which} × "
        f"{found.samples}, {found.concurrency} at once"
    ]
    for one in found.comparisons:
        unit = {"tokens": "{:.1f}", "seconds": "{:.2f}"}.get(one.measure, "{:.3f}")
        text = f"{one.measure:<12} measured {_interval(one.measured, unit)}"
        if one.predicted is not None:
            verdict = "inside" if one.inside else "OUTSIDE"
            text += f"   predicted {_interval(one.predicted, unit)}   {verdict}"
        lines.append(text)
    lines.append(f"{'cut at cap':<12} {percent(found.truncated, 1)}")
    lines.append(f"{'first token':<12} {_spread(found.first_token)}")
    if found.per_token is not None:
        lines.append(f"{'per token':<12} {_spread(found.per_token)}")
    if found.not_scored:
        answers = counted(found.problems * found.samples, "answer")
        verb = "is" if found.not_scored == 1 else "are"
        missing = f"{found.not_scored} of {answers} could not be scored"
        lines.append(f"! {missing} and {verb} left out of the score")
    if found.remark:
        lines.append(found.remark)
    return lines


def _interval(estimate: "Estimate", unit: str) -> str:
    ends = f"{unit.format(estimate.low)} to {unit.format(estimate.high)}"
    return f"{unit.format(estimate.value)} ({ends})"


def _spread(estimate: "Estimate") -> str:
    low, middle, high = (1000 * t for t in (estimate.low, estimate.value, estimate.high))
    return f"{middle:.1f} ms (5 % under {low:.1f}, 5 % over {high:.1f})"
