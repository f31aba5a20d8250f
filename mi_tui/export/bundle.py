"""The export of a study: the chosen formats in one directory."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mi_tui import __version__
from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.errors import MiTuiError
from mi_tui.export.checkpoint import export_checkpoint
from mi_tui.export.mergekit import mergekit_yaml
from mi_tui.export.report import report_html
from mi_tui.export.serve import serve_script
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import labels
from mi_tui.plan.toml import write_preset
from mi_tui.present.columns import csv_fields, result_lines
from mi_tui.study.reader import StudyReader
from mi_tui.study.view import StudyView


class ExportError(MiTuiError):
    """An export that cannot be written."""


class ExportFormat(StrEnum):
    """What can be exported."""

    PRESET = "preset"
    JSON = "json"
    CSV = "csv"
    MERGEKIT = "mergekit"
    REPORT = "report"
    SERVE = "serve"
    CHECKPOINT = "checkpoint"


CONFIG_FORMATS = (
    ExportFormat.PRESET,
    ExportFormat.JSON,
    ExportFormat.CSV,
    ExportFormat.MERGEKIT,
    ExportFormat.REPORT,
    ExportFormat.SERVE,
)
"""What is written in a moment; the checkpoint takes as long as its bytes."""


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Where an export stands: ``done`` of ``total`` bytes of the file group ``format``."""

    format: ExportFormat
    done: int
    total: int


Report = Callable[[ExportProgress], None]


def export_study(
    study: Path,
    out: Path,
    formats: Sequence[ExportFormat] = CONFIG_FORMATS,
    progress: Report | None = None,
    *,
    answer: Recommendation | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Path, ...]:
    """Write a study's recommendation into ``out`` and return the paths written.

    Args:
        study: the study's directory.
        out: the directory to write to; made when missing.
        formats: what to write.
        progress: told how far the export is.
        answer: the recommendation to export (default: the study's own, asked anew).
        cancelled: asked now and then; true ends the checkpoint's writing and leaves no trace.

    Raises:
        ExportError: ``out`` cannot be written.
        StudyError: the study has nothing to recommend yet.
        CheckpointError: mergekit cannot express the recipe; the other files are written.
    """
    with StudyReader(study) as reader:
        chosen = answer or reader.recommend()
        subject = _Subject(reader.view(), chosen, reader.examples(), out)
    _make(out)
    written: list[Path] = []
    not_expressed: MiTuiError | None = None
    for wanted in formats:
        if wanted is ExportFormat.CHECKPOINT:
            written.append(_write_checkpoint(subject, progress, cancelled))
            continue
        try:
            written.append(_write_config(wanted, subject))
        except CheckpointError as error:
            # mergekit cannot express every scope; the other files are wanted all the same.
            not_expressed = error
        if progress:
            progress(ExportProgress(wanted, 1, 1))
    if not_expressed:
        raise not_expressed
    return tuple(written)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is exported, and where to."""

    view: StudyView
    answer: Recommendation
    examples: dict[str, str]
    out: Path

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint"


def _write_checkpoint(
    subject: _Subject, progress: Report | None, cancelled: Callable[[], bool]
) -> Path:
    def report(done: int, total: int) -> None:
        if progress:
            progress(ExportProgress(ExportFormat.CHECKPOINT, done, total))

    export_checkpoint(subject.view, subject.answer, subject.checkpoint, report, cancelled)
    return subject.checkpoint


def _write_config(wanted: ExportFormat, subject: _Subject) -> Path:
    view, answer, out = subject.view, subject.answer, subject.out
    if wanted is ExportFormat.PRESET:
        path = out / "preset.toml"
        write_preset(tuned_preset(view.preset, answer), path)
        return path
    if wanted is ExportFormat.JSON:
        return _write(out / "recommendation.json", study_json(view, answer))
    if wanted is ExportFormat.CSV:
        return _write(out / "table.csv", table_csv(view.measured))
    if wanted is ExportFormat.MERGEKIT:
        return _write(out / "mergekit.yaml", mergekit_yaml(answer.recipe, view.preset.pair))
    if wanted is ExportFormat.REPORT:
        return _write(out / "report.html", report_html(view, answer, subject.examples))
    path = _write(out / "serve.sh", serve_script(answer, subject.checkpoint))
    path.chmod(0o755)
    return path


def tuned_preset(preset: Preset, answer: Recommendation) -> Preset:
    """The preset with the recommendation's budget, and its recipe as a row to evaluate again."""
    rows = (*(r for r in preset.recipes if r != answer.recipe), answer.recipe)
    return preset.model_copy(update={"budget": answer.budget, "recipes": rows})


def study_json(view: StudyView, answer: Recommendation) -> str:
    """Recommendation, table and where they come from, as indented JSON."""
    return json.dumps(study_data(view, answer), indent=2, ensure_ascii=False) + "\n"


def study_data(view: StudyView, answer: Recommendation | None) -> dict[str, Any]:
    """The content of :func:`study_json`; what ``--json`` prints."""
    return {
        "mi_tui": __version__,
        "study": str(view.path),
        "state": view.state,
        "message": view.message,
        "pair": view.preset.pair.model_dump(mode="json"),
        "recommendation": answer and answer.model_dump(mode="json", by_alias=True),
        "table": table_data(view.measured),
    }


def table_data(rows: Sequence[RecipeSummary]) -> list[dict[str, Any]]:
    """The table's rows, with the recipe's label beside its data."""
    names = labels([row.recipe for row in rows])
    return [
        {"label": name, **row.model_dump(mode="json", by_alias=True)}
        for name, row in zip(names, rows, strict=True)
    ]


def table_csv(rows: Sequence[RecipeSummary]) -> str:
    """The results table as CSV; intervals in columns of their own, empty where not measured."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    fields = csv_fields()
    writer.writerow([field.name for field in fields])
    for line in result_lines(rows):
        writer.writerow([field.value(line) for field in fields])
    return buffer.getvalue()


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write to {out}: {(error.strerror or str(error)).lower()}") from (
            error
        )


def _write(path: Path, text: str) -> Path:
    """Write a file whole or not at all; returns its path."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from (
            error
        )
    return path
