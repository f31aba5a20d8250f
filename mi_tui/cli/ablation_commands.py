"""The commands ``ablate`` and ``table``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mi_tui.cli.options import EngineOption, Json, Plain, StudyArgument, TrustRemoteCode
from mi_tui.errors import MiTuiError

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.comparison import Comparison
    from mi_tui.analysis.ablation.grid import Grid
    from mi_tui.plan.preset import Preset
    from mi_tui.plan.scope import LayerRange

# Commands import what they need when they run: --help must be quick.


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (ablate, table):
        app.command()(command)


def ablate(
    study: StudyArgument,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="layers, modules, layers-modules, decoding, baselines, layer-groups or two-knobs.",
        ),
    ],
    lambda_: Annotated[
        float | None, typer.Option("--lambda", help="λ instead of the recommended one.")
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", help="A row of your own, such as 12-35; may be repeated."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="At most 32 problems and 2 samples of each.")
    ] = False,
    run: Annotated[bool, typer.Option("--run", help="Run it now and show its table.")] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Without --run: the .toml file to write; with it: the study."),
    ] = None,
    engine: EngineOption = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
    plain: Plain = False,
) -> None:
    """Turn a study into an ablation at its recommended λ: a preset, or with --run its table."""
    from mi_tui.api.study import Study
    from mi_tui.cli.console import err
    from mi_tui.plan.scope import parse_layers
    from mi_tui.plan.toml import preset_text, write_preset

    try:
        parts: list[tuple[LayerRange, ...]] = [parse_layers(text) for text in layers or []]
    except ValueError as error:
        raise MiTuiError(f"--layers: {error}") from error
    if lambda_ is not None and not 0.0 <= lambda_ <= 1.0:
        raise MiTuiError(f"--lambda {lambda_:g}: write a number from 0 to 1")
    with Study.load(study) as opened:
        preset = opened.ablation(kind, lambda_=lambda_, layers=parts, quick=quick)
    preset = preset.with_engine(engine)
    if run:
        _run(preset, to, json_=json_, plain=plain, trust_remote_code=trust_remote_code)
    elif to:
        write_preset(preset, to)
        err().print(f"wrote {to}: mi-tui run {to} runs it", markup=False)
    elif json_:
        print(preset.model_dump_json(by_alias=True, indent=2))
    else:
        print(preset_text(preset), end="")


def table(
    study: StudyArgument,
    paired: Annotated[
        bool, typer.Option("--paired", help="Differences over the same problems, and heat maps.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option("--against", help="The row to compare with, as the table names it."),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="A table for each probe, or for each stratum.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show a study's table; with --paired every row against the full interpolation."""
    from mi_tui.api.study import Study
    from mi_tui.cli.console import out, print_json
    from mi_tui.cli.tables import results_table
    from mi_tui.export.data import table_data

    if by not in (None, "probe", "stratum"):
        raise MiTuiError(f"--by {by}: write probe or stratum")
    if by and (paired or against):
        raise MiTuiError("--by shows no differences: leave --paired and --against out")
    if paired or against:
        _show_comparison(study, against, json_=json_)
        return
    if by:
        _show_groups(study, strata=by == "stratum", json_=json_)
        return
    with Study.load(study) as opened:
        view = opened.view()
    if json_:
        print_json(table_data(view.rows))
    else:
        console = out()
        console.print(results_table(view, console.width))


def _show_groups(study: str, *, strata: bool, json_: bool) -> None:
    from mi_tui.api.study import Study
    from mi_tui.cli.console import out, print_json
    from mi_tui.export.data import groups_data
    from mi_tui.present.groups import groups_picture

    with Study.load(study) as opened:
        answer = opened.view().recommendation
        found = opened.groups(strata=strata)
    if json_:
        print_json(groups_data(found))
        return
    console = out()
    console.print(groups_picture(found, console.width, answer.row_key if answer else None))


def _run(
    preset: "Preset", path: Path | None, *, json_: bool, plain: bool, trust_remote_code: bool
) -> None:
    from mi_tui.cli.follow import require_ended, run_study

    view = run_study(preset, path, plain=plain, trust_remote_code=trust_remote_code)
    _show_comparison(str(view.path), None, json_=json_)
    require_ended(view)


def _show_comparison(study: str, against: str | None, *, json_: bool) -> None:
    from mi_tui.api.study import Study
    from mi_tui.cli.console import out, print_json
    from mi_tui.present.ablation import ablation_picture

    with Study.load(study) as opened:
        result = opened.ablation_result(against)
    if json_:
        beside = {"layer_groups": result.groups, "two_knobs": result.knobs}
        own = {
            name: found and found.model_dump(mode="json", by_alias=True)
            for name, found in beside.items()
        }
        print_json({**_comparison_data(result.comparison, result.grids), **own})
        return
    console = out()
    console.print(ablation_picture(result, console.width))


def _comparison_data(found: "Comparison", maps: "tuple[Grid, ...]") -> dict[str, object]:
    data: dict[str, object] = found.model_dump(mode="json", by_alias=True)
    data["grids"] = [
        {
            "title": grid.title,
            "rows": grid.rows,
            "columns": grid.columns,
            "score": [
                [
                    grid.cells[row, column].score.value if (row, column) in grid.cells else None
                    for column in grid.columns
                ]
                for row in grid.rows
            ],
        }
        for grid in maps
    ]
    return data
