"""The record of an export directory: which study and recipe its files are of.

Files of two recipes in one directory would look like one export, so that one directory holds one
recipe of one study. Nothing that no format writes is ever removed.
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mi_tui import __version__
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.export.errors import ExportConflictError, ExportError
from mi_tui.export.files import reason, write_whole
from mi_tui.export.format import FORMATS, ExportFormat, Subject
from mi_tui.probes.text import shown_line

RECORD = "export.json"
"""The file that holds the record."""

_SCHEMA = 1
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """What a directory holds.

    ``recipe`` is its canonical JSON, ``label`` how it is shown; ``study`` is the study's name,
    ``where`` its directory as seen from the export's; ``files`` are names in the directory.
    """

    recipe: str
    label: str
    study: str
    where: str
    files: tuple[str, ...] = ()

    def is_of(self, other: "ExportRecord") -> bool:
        """Whether both are of one recipe of one study."""
        return (self.recipe, self.where) == (other.recipe, other.where)

    def to_json(self) -> str:
        """The record as it is stored."""
        data = {
            "schema": _SCHEMA,
            "mi_tui": __version__,
            "study": self.study,
            "study_path": self.where,
            "label": self.label,
            "recipe": json.loads(self.recipe),
            "files": self.files,
        }
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def claim(subject: Subject, formats: Sequence[ExportFormat], *, overwrite: bool) -> None:
    """Record that the subject's directory holds these formats of it, before they are written.

    Args:
        subject: what is exported.
        formats: what will be written.
        overwrite: replace what the directory holds of another recipe or study.

    Raises:
        ExportConflictError: it holds something else, and that may not be replaced.
        ExportError: the record cannot be read or written.
    """
    out, own = subject.out, _record_of(subject)
    names = [each.file_name for each in formats]
    held = read_record(out)
    files: Iterable[str] = ()
    if held is None:
        _refuse_strangers(out, names, overwrite)
    elif held.is_of(own):
        files = (name for name in held.files if os.path.lexists(out / name))
    elif overwrite:
        _remove(out, held.files)
    else:
        what = f"the export of {held.label} ({held.study})"
        raise ExportConflictError(
            f"{out} holds {what}: choose another folder, or --overwrite to replace it", what
        )
    every = tuple(dict.fromkeys((*files, *names)))
    record = ExportRecord(own.recipe, own.label, own.study, own.where, every)
    write_whole(out / RECORD, record.to_json())


def read_record(out: Path) -> ExportRecord | None:
    """The record of a directory; ``None`` where there is none.

    Raises:
        ExportError: it cannot be read, or is not one of ours.
    """
    path = out / RECORD
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_LARGEST))
        if data["schema"] != _SCHEMA:
            raise ValueError("a newer mi-tui wrote it")
        return ExportRecord(
            recipe=json.dumps(data["recipe"], sort_keys=True, separators=(",", ":")),
            label=shown_line(data["label"], 80),
            study=shown_line(data["study"], 80),
            where=str(data["study_path"]),
            files=tuple(str(name) for name in data["files"]),
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ExportError(f"cannot read {path}: {reason(error)}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ExportError(
            f"{path} is not a record of mi-tui's exports: choose another folder, or remove it"
        ) from error


def _record_of(subject: Subject) -> ExportRecord:
    recipe = subject.answer.recipe
    view = subject.view
    where = os.path.relpath(view.path.absolute(), subject.out.absolute())
    canonical = json.loads(recipe.canonical_json())
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return ExportRecord(text, recipe.label, view.name, where)


def _refuse_strangers(out: Path, names: Iterable[str], overwrite: bool) -> None:
    there = [name for name in names if os.path.lexists(out / name)]
    if there and not overwrite:
        what = f"{', '.join(there)} of unknown origin"
        raise ExportConflictError(
            f"{out} holds {what}: choose another folder, or --overwrite to replace", what
        )


def _remove(out: Path, names: Iterable[str]) -> None:
    """Remove an export; only what a format writes, and of a checkpoint only what a merge wrote."""
    ours = {each.file_name for each in FORMATS}
    unknown = [name for name in names if name not in ours and os.path.lexists(out / name)]
    if unknown:
        raise ExportError(
            f"{out} holds {shown_line(unknown[0], 80)}, which no export format here writes: "
            "choose another folder"
        )
    for name in names:
        path = out / name
        try:
            if path.is_dir() and not path.is_symlink():
                _require_a_merge(path)
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise ExportError(f"cannot replace {path}: {reason(error)}") from error


def _require_a_merge(path: Path) -> None:
    from mi_tui.checkpoints.merging.manifest import foreign_files

    try:
        foreign = foreign_files(path)
    except CheckpointError as error:
        raise ExportError(f"cannot replace {path}: {error}") from error
    if foreign:
        raise ExportError(
            f"{path} holds {shown_line(foreign[0], 80)}, which no merge wrote: "
            "choose another folder"
        )
