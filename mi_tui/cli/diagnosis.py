"""The part of ``mi-tui doctor`` that loads a preset's pair and measures it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from mi_tui.cli.console import err
from mi_tui.engines.open import open_engine
from mi_tui.plan.library import find_preset
from mi_tui.present.engine import engine_lines
from mi_tui.study.preflight import require_fit
from mi_tui.study.remote_code import with_consent

if TYPE_CHECKING:  # it measures, with torch
    from mi_tui.engines.diagnosis import Diagnosis


def diagnose_preset(
    reference: str, *, engine: str | None = None, trust_remote_code: bool = False
) -> "Diagnosis":
    """Load the pair of a preset into its engine and measure it: seconds to minutes.

    Args:
        reference: a preset's name or file.
        engine: the kind of engine, in place of the preset's.
        trust_remote_code: allow the code that its checkpoints bring, as it is now.

    Raises:
        RemoteCodeError: it would run code that was never allowed.
        MiTuiError: the preset is not valid, or its pair cannot be loaded here.
    """
    name, preset = find_preset(reference)
    if trust_remote_code:
        preset = with_consent(preset)
    preset = preset.with_engine(engine)
    choice = require_fit(preset)
    for line in engine_lines(preset, choice):
        err().print(line, markup=False)
    err().print(f"loading and measuring the pair of {name} …", markup=False)
    from mi_tui.engines.diagnosis import diagnose

    opened = open_engine(choice.plan, preset.pair, preset.longest_cap)
    try:
        return diagnose(opened)
    finally:
        opened.close()


def diagnosis_as_json(found: "Diagnosis") -> dict[str, Any]:
    """The diagnosis as JSON values; times as their names say."""
    return {
        **asdict(found.capabilities),
        "self_check": asdict(found.self_check),
        "latency": [asdict(point) for point in found.latency],
        "steps": [
            {"sequences": at.sequences, "single_ms": at.single, "one_pass_ms": at.one_pass}
            for at in found.steps
        ],
        "switch_ms": found.switch,
        "response_tokens": found.response_tokens,
        "forecasts": [
            {
                "rollouts_per_lambda": at.each,
                "one_pass_seconds": at.one_pass,
                "in_place_seconds": at.in_place,
                "chosen": at.cheaper,
            }
            for at in found.forecasts
        ],
    }


def diagnosis_lines(found: "Diagnosis") -> list[tuple[str, str]]:
    """Names and values, in the manner of plain ``doctor``."""
    able = found.capabilities
    lines = [
        ("device", f"{able.device}, {able.dtype}, {able.batch_size} sequences at once"),
        ("way", able.note),
        ("self-check", found.self_check.message),
    ]
    if found.switch is not None:
        lines.append(("change of λ", f"{found.switch:.2f} ms in place"))
    return lines


def diagnosis_tables(found: "Diagnosis") -> list[Table]:
    """One merged model's speed, the cost of a step, and what a sweep would take."""
    tables = [
        _table(
            "One merged model",
            ("at once", "first token, ms", "per token, ms"),
            [
                (
                    str(point.concurrency),
                    f"{1000 * point.time_to_first_token:.1f}",
                    f"{1000 * point.time_per_output_token:.2f}",
                )
                for point in found.latency
            ],
        )
    ]
    if found.steps:
        tables.append(_steps_table(found))
    if found.forecasts:
        tables.append(_forecast_table(found))
    return tables


def _steps_table(found: "Diagnosis") -> Table:
    rows = []
    for at in found.steps:
        mixed, ratio = "–", "–"
        if at.one_pass is not None:
            mixed, ratio = f"{at.one_pass:.2f}", f"{at.one_pass / at.single:.2f}"
        rows.append((str(at.sequences), f"{at.single:.2f}", mixed, ratio))
    names = ("sequences", "one recipe, ms", "one pass, ms", "ratio")
    return _table("One step (one more token of every sequence)", names, rows)


def _forecast_table(found: "Diagnosis") -> Table:
    from mi_tui.engines.diagnosis import RECIPES

    rows = [
        (str(at.each), f"{at.one_pass:.2f}", f"{at.in_place:.2f}", at.cheaper)
        for at in found.forecasts
    ]
    title = f"{RECIPES} λ, responses of {found.response_tokens} tokens on average: forecast"
    return _table(title, ("responses per λ", "one pass, s", "in place, s", "chosen"), rows)


def _table(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table
