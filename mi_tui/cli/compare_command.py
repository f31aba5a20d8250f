"""The commands that compare studies, and problems: ``compare`` and ``flips``."""

from typing import Annotated

import typer

from mi_tui.cli.options import BudgetOption, Json, StudyArgument
from mi_tui.errors import MiTuiError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(compare)
    app.command()(flips)


def compare(
    studies: Annotated[
        list[str], typer.Argument(help="Two studies or more, by name or directory.")
    ],
    budget: BudgetOption = None,
    json_: Json = False,
) -> None:
    """Put the answers and rows of several studies side by side; nothing is generated."""
    from mi_tui.api.comparison import compare_studies
    from mi_tui.cli.console import out, print_json
    from mi_tui.present.studies import studies_comparison

    found = compare_studies(studies, budget)
    if json_:
        print_json(found.data())
    else:
        out().print(studies_comparison(found.studies, found.notes))


def flips(
    study: StudyArgument,
    row: Annotated[
        str | None,
        typer.Option("--row", help="This row of the table instead of the recommended λ."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="List the problems that are fixed, broken, always, never or unknown; may be "
            "repeated. Default: fixed and broken.",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Show which problems the recommended λ solves and Instruct or Thinking does not, and back."""
    from mi_tui.analysis.statistics.flips import Flip
    from mi_tui.api.study import Study
    from mi_tui.cli.console import out, print_json
    from mi_tui.present.flips import FLIPPED, flips_data, flips_picture

    known = [flip.value for flip in Flip]
    if unknown := [name for name in only or [] if name not in known]:
        raise MiTuiError(f"--only {unknown[0]}: write one of {', '.join(known)}")
    with Study.load(study) as opened:
        found = opened.flips(row)
    if json_:
        print_json(flips_data(found))
        return
    console = out()
    kinds = [Flip(name) for name in only] if only else FLIPPED
    console.print(flips_picture(found, console.width, kinds))
