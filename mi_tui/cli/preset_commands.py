"""The commands that look at what there is: presets, themes, doctor."""

from typing import Annotated

import typer

from mi_tui.cli.options import Json
from mi_tui.errors import MiTuiError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (presets, themes, doctor):
        app.command()(command)


def presets(
    files: Annotated[
        list[str] | None, typer.Argument(help="Presets to check, by name or file.")
    ] = None,
    json_: Json = False,
) -> None:
    """List the presets, or check the ones named."""
    from mi_tui.cli.console import out, print_json
    from mi_tui.plan.library import find_preset, list_presets

    if files:
        for reference in files:
            name, preset = find_preset(reference)
            print(f"{name}: valid · {preset.title} · {preset.budget.in_words}")
        return
    entries = list_presets()
    if json_:
        print_json(
            [
                {
                    "name": entry.name,
                    "path": str(entry.path),
                    "title": entry.preset.title if entry.preset else None,
                    "problem": entry.problem or None,
                }
                for entry in entries
            ]
        )
        return
    for entry in entries:
        text = f"{entry.preset.title} · {entry.preset.budget.in_words}" if entry.preset else ""
        origin = "" if entry.bundled else " (yours)"
        out().print(
            f"{entry.name:<24} {text or 'not valid: ' + entry.problem}{origin}", markup=False
        )
    if any(entry.problem for entry in entries):
        raise MiTuiError("a preset above is not valid")


def themes(json_: Json = False) -> None:
    """List the app's themes."""
    from mi_tui.cli.console import out, print_json
    from mi_tui.tui.themes import load_themes

    found, problems = load_themes()
    if json_:
        print_json({"themes": [theme.name for theme in found], "problems": list(problems)})
        return
    for theme in found:
        out().print(f"{theme.name:<20} {'dark' if theme.dark else 'light'}", markup=False)
    for problem in problems:
        out().print(f"skipped: {problem}", markup=False)


def doctor(json_: Json = False) -> None:
    """Say what this machine can do: processors, memory, GPUs, engines, colours, folders."""
    from mi_tui.cli.console import out, print_json
    from mi_tui.cli.machine import describe_machine

    facts = describe_machine()
    if json_:
        print_json(facts)
        return
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        out().print(f"{name.replace('_', ' '):<16} {text or 'none'}", markup=False)
