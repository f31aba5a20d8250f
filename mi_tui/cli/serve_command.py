"""The command ``serve``: a pair behind vLLM's own server, with λ as a dial per request."""

from typing import TYPE_CHECKING, Annotated

import typer

from mi_tui.cli.options import BudgetOption, Json, StudyCommand, TrustRemoteCode
from mi_tui.errors import MiTuiError

if TYPE_CHECKING:
    from mi_tui.serve.command import ServerPlan
    from mi_tui.serve.source import Source


def serve(
    source: Annotated[
        str | None, typer.Argument(help="A study, or a preset with a table [serve].")
    ] = None,
    vllm: Annotated[
        list[str] | None, typer.Argument(help="Behind --: vLLM's own options, passed on.")
    ] = None,
    instruct: Annotated[
        str | None, typer.Option("--instruct", help="The Instruct side, without a study.")
    ] = None,
    thinking: Annotated[
        str | None, typer.Option("--thinking", help="The Thinking side, without a study.")
    ] = None,
    donor: Annotated[
        str,
        typer.Option(
            "--donor", help="Whose tokenizer and template a pair has: instruct or thinking."
        ),
    ] = "thinking",
    lambda_: Annotated[
        float | None,
        typer.Option("--lambda", help="λ of requests that name none; default: the recommended."),
    ] = None,
    merged: Annotated[
        bool, typer.Option("--merged", help="Merge at this one λ; half the memory, and no dial.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="The model's name; default: of the title.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets the network in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port.")] = 8000,
    budget: BudgetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and the command; start nothing.")
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """Serve a pair with λ per request, by vLLM's own OpenAI server. Prints what will be served,
    then becomes the server. Requests name λ as model@0.55, model@low or by reasoning_effort."""
    from mi_tui.cli.console import print_json
    from mi_tui.serve.command import (
        Wanted,
        command_of,
        plan_server,
        require_vllm,
        shown,
        start,
    )

    options = tuple(vllm or ())
    if instruct is not None and source is not None and source.startswith("-"):
        options = (source, *options)
        source = None
    if options and not options[0].startswith("-"):
        raise MiTuiError(f"unexpected argument {options[0]}: vLLM's options stand behind --")
    found = _source(source, instruct, thinking, donor, budget, trust_remote_code)
    if lambda_ is not None:
        found = found.with_lambda(lambda_)
    if name is not None:
        found = found.named(name)
    plan = plan_server(found, Wanted(host, port, merged, options))
    if json_ and not dry_run:
        print_json(plan.as_json())
    elif not json_:
        for line in plan_lines(plan):
            print(line)
    if not plan.fits and not dry_run:
        raise MiTuiError(plan.memory)
    if not dry_run:
        require_vllm()
    command, environment = command_of(plan)
    if dry_run:
        if json_:
            print_json({**plan.as_json(), "command": command, "environment": environment})
        else:
            print(shown(command, environment))
        return
    start(command, environment, plan)


def _source(
    reference: str | None,
    instruct: str | None,
    thinking: str | None,
    donor: str,
    budget: str | None,
    trust_remote_code: bool,
) -> "Source":
    from mi_tui.plan.budget import parse_budget
    from mi_tui.plan.pair import Pair
    from mi_tui.serve.source import find_source, of_pair

    if reference is not None and (instruct or thinking):
        raise MiTuiError("serve takes a study or preset, or --instruct and --thinking, not both")
    if reference is not None:
        question = None if budget is None else parse_budget(budget)
        return find_source(reference, question).trusting(trust_remote_code)
    if not instruct or not thinking:
        raise MiTuiError("serve needs a study, a preset, or --instruct and --thinking")
    if donor not in ("instruct", "thinking"):
        raise MiTuiError(f"--donor {donor}: write instruct or thinking")
    pair = Pair.model_validate({"instruct": instruct, "thinking": thinking, "donor": donor})
    return of_pair(pair).trusting(trust_remote_code)


def plan_lines(plan: "ServerPlan") -> list[str]:
    """What will be served, for people: the pair, where, the memory, and λ of each effort."""
    from mi_tui.present.efforts import effort_lines
    from mi_tui.probes.text import shown_line

    pair, dial = plan.source.pair, plan.dial
    lines = [
        shown_line(f"{plan.source.title}: {pair.instruct} and {pair.thinking}"),
        f"model   {dial.name} at {plan.address}",
        f"memory  {shown_line(plan.memory)}",
        *effort_lines(dial.default, dial.efforts, dial.measured),
        *(f"recipe  {name}: {dial.named(name).label}" for name in dial.recipes),
    ]
    if dial.fixed:
        lines.append("merged at this λ: requests can name no other")
    if plan.source.remark:
        lines.append(f"! {shown_line(plan.source.remark)}")
    return lines


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command(cls=StudyCommand)(serve)
