"""Options that several commands share, declared once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core


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
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Allow Python code that comes with checkpoints or tasks to run; kept: mi-tui trust.",
    ),
]
StudyArgument = Annotated[str, typer.Argument(help="A study's name or directory.")]
StudyDirectory = Annotated[
    Path | None,
    typer.Option("--study", help="Directory of the study; an existing study is resumed."),
]


class EngineKind(StrEnum):
    """Which engine generates."""

    AUTO = "auto"
    TRANSFORMERS = "transformers"
    VLLM = "vllm"


EngineOption = Annotated[
    EngineKind | None,
    typer.Option(
        "--engine",
        help="The engine instead of the preset's; auto chooses by GPUs, pair and caps.",
    ),
]


def _budgets(begun: str) -> list[str]:
    """The examples of the objectives that begin so, for the shell's completion."""
    from mi_tui.plan.objective import examples

    return [example for example in examples() if example.startswith(begun)]


class StudyCommand(typer.core.TyperCommand):
    """A command whose help of ``--budget`` has an example of every objective.

    They are looked up when help is shown: other commands need not load them.
    """

    def get_help(self, ctx: Any) -> str:
        """The text of ``--help``."""
        from mi_tui.plan.objective import examples

        *others, last = examples(remarks=True)
        for parameter in self.params:
            if isinstance(parameter, typer.core.TyperOption) and parameter.name == "budget":
                parameter.help = f"In quotes: {', '.join(others)} or {last}."
        return super().get_help(ctx)


BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="The question that is asked.",
        autocompletion=_budgets,
    ),
]
