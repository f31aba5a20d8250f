"""The export of a study: the chosen formats in one directory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mi_tui.analysis.ablation.comparison import ComparisonError
from mi_tui.analysis.ablation.result import AblationResult, ablation_result
from mi_tui.analysis.results import Recommendation
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.errors import MiTuiError
from mi_tui.export.errors import NothingRecommendedError
from mi_tui.export.files import make_folder
from mi_tui.export.format import CONFIGS, FORMATS, ExportFormat, Subject, chosen
from mi_tui.export.record import claim
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.folder import find_study
from mi_tui.study.storage.store import Store
from mi_tui.study.weights import require_same_weights


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Where an export stands: ``done`` of ``total`` of a format, in its own unit."""

    format: ExportFormat
    done: int
    total: int


Report = Callable[[ExportProgress], None]


def export_study(
    study: Path,
    out: Path,
    formats: Sequence[str] = (CONFIGS,),
    progress: Report | None = None,
    *,
    answer: Recommendation | None = None,
    overwrite: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Path, ...]:
    """Write a study's recommendation into ``out`` and return the paths written.

    Args:
        study: the study's directory.
        out: the directory to write to; made when missing.
        formats: names of formats, or ``configs`` (all that is written at once) or ``all``.
        progress: told how far the export is.
        answer: the recommendation to export (default: the study's own, asked anew).
        overwrite: replace what ``out`` holds of another recipe or study.
        cancelled: asked now and then; true ends the checkpoint's writing and leaves no trace.

    Raises:
        ExportConflictError: ``out`` holds another recipe's export, or files of unknown origin.
        ExportError: a format is unknown, or ``out`` cannot be written.
        NothingRecommendedError: no recipe is recommended, and a format needs one.
        StudyError: the study has nothing to recommend yet, or the pair's weights are no longer
            those that were measured.
        CheckpointError: mergekit cannot express the recipe; the other files are written.
    """
    wanted = chosen(formats)
    if any(each.of_weights for each in wanted):
        with Store(find_study(study).database, reading=True) as store:
            require_same_weights(Facts.of(store))
    subject = _subject(study, out, answer)
    _require_recommended(subject.answer, wanted)
    make_folder(out)
    claim(subject, wanted, overwrite=overwrite)
    written: list[Path] = []
    not_expressed: MiTuiError | None = None
    for each in wanted:

        def report(done: int, total: int, each: ExportFormat = each) -> None:
            if progress:
                progress(ExportProgress(each, done, total))

        path = out / each.file_name
        try:
            each.write(subject, path, report, cancelled)
            written.append(path)
        except CheckpointError as error:
            # mergekit cannot express every scope; the other files are wanted all the same.
            not_expressed = error
    if not_expressed:
        raise not_expressed
    return tuple(written)


def _require_recommended(answer: Recommendation, wanted: Sequence[ExportFormat]) -> None:
    refused = [each.name for each in wanted if each.of_weights]
    if refused and not answer.recommended:
        raise NothingRecommendedError(
            f"{', '.join(refused)} cannot be exported: {answer.sentence} Other formats can be"
            " (--format report), and so can a row of the table (--row)"
        )


def copied_text(study: Path, out: Path, name: str, answer: Recommendation | None = None) -> str:
    """The text of a format for the clipboard; paths in it are those of an export to ``out``.

    Raises:
        MiTuiError: the format is unknown, or the study has nothing to recommend yet.
    """
    return FORMATS[name].copied_text(_subject(study, out, answer))


def _subject(study: Path, out: Path, answer: Recommendation | None) -> Subject:
    with StudyReader(study) as reader:
        found = answer or reader.recommend()
        return Subject(
            reader.view(),
            found,
            reader.examples(),
            out.absolute(),
            _ablation(reader),
            reader.breakdown(found),
        )


def _ablation(reader: StudyReader) -> AblationResult | None:
    """The comparison of the rows; ``None`` for a study that is no ablation, or has no rows yet."""
    preset = reader.preset
    if not preset.is_ablation:
        return None
    try:
        return ablation_result(reader.observations(), preset, reader.latency())
    except ComparisonError:
        return None
