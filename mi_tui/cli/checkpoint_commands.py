"""The commands on checkpoints alone: ``check`` and ``merge``."""

from dataclasses import asdict
from typing import Annotated

import typer

from mi_tui.cli.merge_command import merge
from mi_tui.cli.method_options import MergeCommand
from mi_tui.cli.options import EngineOption, Json, TrustRemoteCode


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(check)
    app.command(cls=MergeCommand)(merge)


def check(
    instruct: Annotated[str, typer.Argument(help="Directory or hub id of the Instruct side.")],
    thinking: Annotated[str, typer.Argument(help="Directory or hub id of the Thinking side.")],
    base: Annotated[str | None, typer.Option("--base", help="Base model of the baselines.")] = None,
    sigma: Annotated[
        bool, typer.Option("--sigma", help="Also read the weights: where do the two differ?")
    ] = False,
    engine: EngineOption = None,
    cap: Annotated[
        int | None,
        typer.Option("--cap", min=1, help="Tokens of the longest response: does it fit?"),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """Check that a pair fits together, from headers and JSON files; exit status 1 if not, or if
    Python code of a checkpoint would run that is not allowed."""
    from mi_tui.api.checkpoints import allow_code, examine
    from mi_tui.cli.console import err, out, print_json
    from mi_tui.cli.findings import print_findings
    from mi_tui.plan.engine import EnginePlan

    sides = [side for side in (instruct, thinking, base) if side]
    with err().status("Asking transformers how it loads the checkpoints …"):
        if trust_remote_code:
            allow_code(sides)
        report = examine(
            sides,
            trust_remote_code=True,
            engine=EnginePlan(kind=engine.value) if engine else None,
            cap=cap,
            weights=sigma,
        )
    gap = None
    if sigma and report.ok:
        from mi_tui.checkpoints.inspect import inspect
        from mi_tui.checkpoints.locate import locate
        from mi_tui.checkpoints.relative_gap import relative_gap
        from mi_tui.cli.progress import byte_progress

        with byte_progress("reading the weights") as progress:
            gap = relative_gap(
                inspect(locate(instruct)), inspect(locate(thinking)), progress=progress
            )
    if json_:
        print_json(
            {
                "fits": report.ok,
                "findings": [asdict(finding) for finding in report.findings],
                "engine": report.choice and report.choice.as_json(),
                "sigma": gap and gap.as_dict(),
            }
        )
    else:
        print_findings(report.findings)
        if gap:
            from mi_tui.present.heat_map import sigma_map

            out().print(sigma_map(gap))
    if not report.ok:
        raise typer.Exit(1)
