"""The commands ``presets``, ``themes`` and ``doctor``."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mi_tui.cli.options import EngineOption, Json, TrustRemoteCode
from mi_tui.errors import MiTuiError

if TYPE_CHECKING:
    from mi_tui.plan.library import PresetEntry
    from mi_tui.plan.remote_code import RemoteCode


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (presets, trust, themes, doctor):
        app.command()(command)


def presets(
    files: Annotated[
        list[str] | None, typer.Argument(help="Presets to check, by name or file.")
    ] = None,
    example: Annotated[
        bool,
        typer.Option(
            "--example", help="Show one full example of each probe, as the model sees it."
        ),
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """List the presets, or check the ones named."""
    from mi_tui.cli.console import out, print_json
    from mi_tui.plan.library import find_preset, find_preset_entry, list_presets
    from mi_tui.plan.remote_code import require_allowed
    from mi_tui.probes.freeze import require_sources
    from mi_tui.study.bounds import require_bounds

    if trust_remote_code:
        from mi_tui.study.remote_code import with_consent

        for reference in files or ():
            with_consent(find_preset(reference)[1])
    if example:
        _print_examples(files or [], as_json=json_)
        return
    if files:
        found = [find_preset_entry(reference) for reference in files]
        for entry in found:
            if entry.preset is not None:
                require_bounds(entry.preset)
                require_sources(entry.preset.probes)
        if json_:
            print_json([_entry_data(entry) for entry in found])
        else:
            for entry in found:
                out().print(f"{entry.name}: valid · {_in_a_line(entry)}", markup=False)
        require_allowed(code for entry in found for code in _codes(entry))
        return
    entries = list_presets()
    if json_:
        print_json([_entry_data(entry) for entry in entries])
        return
    width = max(len(entry.name) for entry in entries)
    heading = ""
    for entry in entries:
        under = entry.group if entry.bundled else "Yours"
        if under != heading:
            out().print(f"\n{under}", markup=False)
            heading = under
        out().print(f"{entry.name:<{width}}  {_in_a_line(entry)}", markup=False)
    if any(entry.problem for entry in entries):
        raise MiTuiError("a preset above is not valid")


def _entry_data(entry: "PresetEntry") -> dict[str, object]:
    return {
        "name": entry.name,
        "group": entry.group,
        "path": str(entry.path),
        "title": entry.preset.title if entry.preset else None,
        "problem": entry.problem or None,
        "remote_code": [
            {"of": code.of, "revision": code.revision, "files": code.files, "allowed": allowed}
            for code, allowed in _consent(entry)
        ],
    }


def _codes(entry: "PresetEntry") -> "tuple[RemoteCode, ...]":
    """The code that a preset would run, as far as it can be told without a download."""
    from mi_tui.study.remote_code import codes_here

    return () if entry.preset is None else codes_here(entry.preset)


def _consent(entry: "PresetEntry") -> "list[tuple[RemoteCode, bool]]":
    from mi_tui.plan.remote_code import is_allowed

    return [(code, is_allowed(code)) for code in _codes(entry)]


def _in_a_line(entry: "PresetEntry") -> str:
    """Title and question; a preset that only fills a table has no question."""
    preset = entry.preset
    if preset is None:
        return f"not valid: {entry.problem}"
    words = f"{preset.title} · {preset.budget.in_words}" if preset.search.refine else preset.title
    found = _consent(entry)
    for code, allowed in found:
        words += f" · {code.words} " + ("runs: you allowed it" if allowed else "would run")
    if preset.pair.trust_remote_code and not found:
        words += " · runs code that its checkpoints bring (trust_remote_code): read it first"
    return words


def _print_examples(references: list[str], *, as_json: bool) -> None:
    """Show every probe's example that can be had; the first that cannot ends in its error."""
    from mi_tui.cli.console import print_json
    from mi_tui.plan.library import find_preset
    from mi_tui.study.example import example_for, example_text

    if not references:
        raise MiTuiError("presets --example needs a preset, by name or file")
    missing: MiTuiError | None = None
    found = []
    for reference in references:
        _, preset = find_preset(reference)
        for plan in preset.probes:
            try:
                shown = example_for(preset.pair, plan)
            except MiTuiError as error:
                # The other probes can be shown all the same.
                missing = missing or error
                continue
            found.append(shown)
            if not as_json:
                print(example_text(shown), end="\n\n", flush=True)
    if as_json:
        print_json(
            [
                {
                    "probe": one.probe,
                    "scorer": one.scorer,
                    "problems": one.problems,
                    "held_out": one.held_out,
                    "max_new_tokens": one.max_new_tokens,
                    "prompt": one.prompt,
                    "opens_thought": one.opened is not None,
                    "answer": one.answer,
                }
                for one in found
            ]
        )
    if missing:
        raise missing


def trust(
    revoke: Annotated[
        list[str] | None,
        typer.Option("--revoke", help="Take back what was allowed for this one; may be repeated."),
    ] = None,
    json_: Json = False,
) -> None:
    """List the code of checkpoints and tasks that you have allowed to run, or take it back."""
    from mi_tui.cli.console import err, out, print_json
    from mi_tui.plan import remote_code

    for of in revoke or ():
        if not remote_code.revoke(of):
            raise MiTuiError(f"nothing of {of} is allowed: mi-tui trust lists what is")
        err().print(f"taken back: code of {of}", markup=False)
    found = remote_code.consents()
    if json_:
        print_json([{**asdict(one.code), "allowed": one.when} for one in found])
        return
    for one in found:
        when = time.strftime("%Y-%m-%d", time.localtime(one.when))
        out().print(f"{when}  {one.code.words}", markup=False)
    if not found:
        err().print("no code of checkpoints or tasks is allowed to run", markup=False)


def themes(json_: Json = False) -> None:
    """List the app's themes."""
    from mi_tui.cli.console import err, out, print_json
    from mi_tui.tui.runtime.themes import load_themes

    found, problems = load_themes()
    if json_:
        skipped = [{"path": str(one.path), "problem": one.message} for one in problems]
        print_json({"themes": [theme.name for theme in found], "problems": skipped})
        return
    for theme in found:
        out().print(f"{theme.name:<20} {'dark' if theme.dark else 'light'}", markup=False)
    for problem in problems:
        err().print(f"skipped: {problem.message}", markup=False)


def doctor(
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            help="Also load this preset's pair and measure it: how λ is run, and at what cost.",
        ),
    ] = None,
    engine: EngineOption = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """Say what this machine can do: processors, memory, GPUs, engines, colours, folders."""
    from mi_tui.cli import diagnosis
    from mi_tui.cli.console import out, print_json
    from mi_tui.cli.machine import describe_machine

    facts = describe_machine()
    found = None
    if preset:
        found = diagnosis.diagnose_preset(
            preset, engine=engine, trust_remote_code=trust_remote_code
        )
    if json_:
        print_json({**facts, "pair": diagnosis.diagnosis_as_json(found)} if found else facts)
        return
    lines = [
        (name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in facts.items()
    ]
    for name, text in lines + (diagnosis.diagnosis_lines(found) if found else []):
        out().print(f"{name:<16} {text or 'none'}", markup=False)
    for table in diagnosis.diagnosis_tables(found) if found else []:
        out().print()
        out().print(table)
