"""The command that compares studies."""

from typing import Annotated

import typer

from mi_tui.cli.options import BudgetOption, Json


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(compare)


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
