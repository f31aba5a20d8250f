"""Options that several commands share, declared once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ColorChoice(StrEnum):
    """How many colours the terminal can show."""

    AUTO = "auto"
    TRUECOLOR = "truecolor"
    C256 = "256"
    C16 = "16"
    NONE = "none"


Theme = Annotated[str | None, typer.Option("--theme", help="Theme of the app: mi-tui themes.")]
Color = Annotated[
    ColorChoice | None,
    typer.Option("--color", help="Colours of the terminal, where they are not found out."),
]
NoMouse = Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Plain = Annotated[bool, typer.Option("--plain", help="Plain lines, one for each change.")]
StudyArgument = Annotated[str, typer.Argument(help="A study's name or directory.")]
StudyDirectory = Annotated[
    Path | None,
    typer.Option("--study", help="Directory of the study; one that is there goes on."),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="tokens<=2000, 'p95 seconds<=30', score>=0.8, score>=95% (of Thinking) or knee.",
    ),
]
