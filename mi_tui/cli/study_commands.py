"""The commands on studies: ``demo``, ``run``, ``watch``, ``recommend`` and others."""

import contextlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mi_tui.cli.confirm_command import confirm
from mi_tui.cli.format_options import ExportCommand, complete_format
from mi_tui.cli.options import (
    BudgetOption,
    Color,
    EngineOption,
    Json,
    NoMouse,
    Plain,
    StudyArgument,
    StudyCommand,
    StudyDirectory,
    Theme,
    TrustRemoteCode,
)
from mi_tui.errors import MiTuiError
from mi_tui.paths import is_file

if TYPE_CHECKING:
    from mi_tui.plan.preset import Preset
    from mi_tui.study.view import StudyView

# Commands import what they need when they run: --help and the app's first screen must be quick.

UNDECIDED = 3
"""The exit status where no λ is recommended that surely keeps the budget, or that is settled."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (demo, run, watch, studies, log, recommend, confirm):
        app.command(cls=StudyCommand)(command)
    app.command(cls=ExportCommand)(export)


def open_app(
    start: Literal["home", "demo", "watch"],
    *,
    study: Path | None = None,
    preset: "Preset | None" = None,
    theme: str | None = None,
    color: str | None = None,
    mouse: bool = True,
) -> None:
    """Open the app on one of its screens."""
    from mi_tui.cli.console import color_environment, need_terminal

    need_terminal()
    color_environment(color)
    from mi_tui.tui.app import MiTuiApp

    app = MiTuiApp(start=start, study=study, preset=preset, theme=theme)
    last_word = app.run(mouse=mouse)
    if app.unexpected is not None:
        raise app.unexpected
    if last_word:
        # Not folded to the terminal's width: there is a command in it to copy.
        print(last_word, file=sys.stderr)


def demo(theme: Theme = None, color: Color = None, no_mouse: NoMouse = False) -> None:
    """Open the app on the bundled pair, every step filled in: Enter all the way through."""
    from mi_tui.plan.library import find_preset

    _, preset = find_preset("demo")
    open_app("demo", preset=preset, theme=theme, color=color, mouse=not no_mouse)


def run(
    preset: Annotated[
        str,
        typer.Argument(
            help="A preset's name or .toml file; with --until a study's name or directory.",
            metavar="PRESET|STUDY",
        ),
    ],
    study: StudyDirectory = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the study in the studies folder; one of that name is resumed."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="Let a study that has ended go on: settled, '+500 rollouts', '+50k tokens', "
            "'+10 minutes', or '2000 rollouts' in all.",
        ),
    ] = None,
    budget: BudgetOption = None,
    engine: EngineOption = None,
    thinking_cap: Annotated[
        list[int] | None,
        typer.Option(
            "--thinking-cap",
            min=1,
            help="A row: Thinking, its thought cut after so many tokens; may be repeated.",
        ),
    ] = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
    plain: Plain = False,
) -> None:
    """Run a study headless, or resume one; Ctrl-C stops it, and the same command resumes it.

    Exit status 0 with a recommendation, 3 when the data cannot decide, no λ keeps the budget, or
    the probe is too hard to recommend anything."""
    from mi_tui.cli.follow import extend, require_ended, run_study
    from mi_tui.plan.library import find_preset
    from mi_tui.study.storage.folder import named_path

    if until is not None:
        if study is not None or name is not None:
            given = "--study" if study is not None else "--name"
            raise MiTuiError(f"--until takes a study in place of the preset: leave {given} out")
        if engine is not None:
            raise MiTuiError("--until goes on with the study's own engine: leave --engine out")
        view = extend(
            preset,
            until,
            budget,
            thinking_caps=thinking_cap or (),
            plain=plain,
            trust_remote_code=trust_remote_code,
        )
    elif study is not None and name is not None:
        raise MiTuiError("--study and --name both say where the study is: give one of them")
    elif budget is not None:
        raise MiTuiError("--budget needs --until: a new study has the budget of its preset")
    else:
        path = study if name is None else named_path(name)
        _, wanted = find_preset(preset)
        wanted = wanted.with_engine(engine).with_thinking_caps(thinking_cap or ())
        _print_cautions(wanted)
        view = run_study(wanted, path, plain=plain, trust_remote_code=trust_remote_code)
    _print_outcome(view, json_=json_, plain=plain, engine=True)
    require_ended(view)
    _end(view)


def watch(
    study: Annotated[
        str | None, typer.Argument(help="A study's name or directory; default: the latest.")
    ] = None,
    plain: Plain = False,
    theme: Theme = None,
    color: Color = None,
    no_mouse: NoMouse = False,
) -> None:
    """Watch a study, running or done; leaving does not stop it."""
    from mi_tui.study.control import list_studies
    from mi_tui.study.storage.folder import find_study

    if study is None:
        entries = list_studies()
        if not entries:
            raise MiTuiError("there are no studies yet: mi-tui demo makes one")
        study = str(entries[0].path)
    if plain:
        _watch_plain(study)
    else:
        path = find_study(study).path
        open_app("watch", study=path, theme=theme, color=color, mouse=not no_mouse)


def _watch_plain(reference: str) -> None:
    from mi_tui.api.study import Study
    from mi_tui.cli.console import err, out
    from mi_tui.cli.follow import display_for, follow, print_result

    with Study.load(reference) as study:

        def leave() -> None:
            again = study.folder.reference
            err().print(
                f"the study is still running; to watch it again: mi-tui watch {again}", markup=False
            )
            raise typer.Exit(130)

        view = follow(study, display_for(plain=True), leave)
    print_result(view, out(), plain=True)


def studies(json_: Json = False) -> None:
    """List the studies, the latest first."""
    from mi_tui.cli.console import err, out, print_json
    from mi_tui.cli.tables import studies_table
    from mi_tui.study.control import list_studies, studies_folder

    entries = list_studies()
    if json_:
        names = ("name", "title", "state", "rollouts", "planned", "modified", "best")
        print_json(
            [{"path": str(e.path), **{name: getattr(e, name) for name in names}} for e in entries]
        )
    elif entries:
        out().print(studies_table(entries))
    else:
        err().print(f"no studies in {studies_folder()} yet: mi-tui demo makes one", markup=False)


def log(study: StudyArgument, json_: Json = False) -> None:
    """Show what a study's worker noted: requests, checks, what failed; oldest first."""
    from mi_tui.api.study import Study
    from mi_tui.cli.console import err, out, print_json
    from mi_tui.probes.text import shown_line

    with Study.load(study) as opened:
        folder, lines = opened.folder, opened.log()
    if json_:
        print_json([{"time": at, "level": level, "message": said} for at, level, said in lines])
        return
    for at, level, said in lines:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        out().print(f"{when} {level:<7} {shown_line(said)}", markup=False)
    if is_file(folder.log) and folder.log.stat().st_size:
        err().print(f"what its libraries printed: {folder.log}", markup=False)


def recommend(study: StudyArgument, budget: BudgetOption = None, json_: Json = False) -> None:
    """Ask the stored rollouts a question; nothing is generated. Exit status as of run."""
    from mi_tui.api.study import Study

    with Study.load(study) as opened:
        view = replace(opened.view(), recommendation=opened.recommend(budget))
    _print_outcome(view, json_=json_)
    _end(view)


def export(
    study: StudyArgument,
    to: Annotated[Path | None, typer.Option("--to", help="Directory to write to.")] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="A format of those below; may be repeated. Default: configs.",
            autocompletion=complete_format,
        ),
    ] = None,
    budget: BudgetOption = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the export of another recipe or study."),
    ] = False,
    row: Annotated[
        str | None,
        typer.Option(
            "--row",
            help="Write this row of the table instead, as mi-tui table names it: its checkpoint.",
        ),
    ] = None,
) -> None:
    """Write the recommendation: configs, report, serve command, merged checkpoint."""
    from mi_tui.api.study import Study
    from mi_tui.cli.progress import byte_progress
    from mi_tui.export.bundle import ExportProgress

    if row is not None and (format_ or budget or overwrite):
        raise MiTuiError("--row writes a checkpoint: leave --format, --budget and --overwrite out")
    with Study.load(study) as opened, byte_progress("writing the checkpoint") as report:

        def show(step: ExportProgress) -> None:
            if not step.format.quick:
                report(step.done, step.total)

        if row is not None:
            out = to or opened.folder.exports / "row"
            opened.merge(row, out, progress=report)
            written: tuple[Path, ...] = (out,)
        else:
            formats = format_ or ["configs"]
            written = opened.export(to, formats, budget=budget, progress=show, overwrite=overwrite)
    for path in written:
        print(path)


def _print_cautions(preset: "Preset") -> None:
    """Say what looks like a slip before a study starts."""
    from mi_tui.checkpoints.inspect import inspect
    from mi_tui.checkpoints.locate import locate
    from mi_tui.checkpoints.network import context_of
    from mi_tui.cli.console import err
    from mi_tui.plan.cautions import cautions

    context = None
    with contextlib.suppress(MiTuiError):  # what is wrong with a checkpoint is told by the run
        context = context_of(inspect(locate(preset.pair.thinking, weights=False)).config)
    for caution in cautions(preset, context):
        err().print(f"! {caution}.", markup=False)


def _print_outcome(
    view: "StudyView", *, json_: bool, plain: bool = False, engine: bool = False
) -> None:
    """Print the table and the answer; as JSON with the engine, where it is wanted."""
    from mi_tui.api.study import Study
    from mi_tui.cli.console import out, print_json
    from mi_tui.cli.follow import print_result
    from mi_tui.export.data import study_data

    if json_:
        with Study.load(view.path) as opened:
            apart = opened.breakdown(view.recommendation)
            chosen = {"engine": opened.engine().as_json()} if engine else {}
        print_json({**study_data(view, view.recommendation, apart), **chosen})
    else:
        print_result(view, out(), plain=plain)


def _end(view: "StudyView") -> None:
    """End with the status that tells whether there is an answer."""
    answer = view.recommendation
    if answer is None or not answer.decided:
        raise typer.Exit(UNDECIDED)
