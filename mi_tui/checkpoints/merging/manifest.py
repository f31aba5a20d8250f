"""The record inside a merged checkpoint: what was merged, from what, and every file's digest."""

import hashlib
import json
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mi_tui import __version__
from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.identity import FileIdentity, identity_of
from mi_tui.checkpoints.json_files import read_json
from mi_tui.checkpoints.locate import TEMPLATES
from mi_tui.checkpoints.merging.companions import MANIFEST
from mi_tui.checkpoints.merging.plan import MergePlan
from mi_tui.checkpoints.merging.threads import Progress, Tally, thread_count, watch

FORMAT = 1


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One checkpoint that went into a merge.

    ``header_sha256`` is the digest of its tensors' names, dtypes, shapes and places; ``files`` are
    those of a local checkpoint as they were (a merge from before they were noted has none).
    ``dequantised`` says what of its weights was quantised and read as bfloat16.
    """

    role: str
    reference: str
    repository: str | None
    revision: str | None
    header_sha256: str
    weight: float | None
    files: tuple[FileIdentity, ...] = ()
    dequantised: str = ""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of the result: its name, size in bytes and SHA-256."""

    name: str
    nbytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything needed to repeat a merge and to check its result.

    ``recipe`` is the recipe as plain data, ``None`` for a weighted sum. ``shards`` are the files
    with weights, ``companions`` all others. ``nonfinite`` names tensors with NaN or Inf.
    ``kept_rows`` counts the token ids whose rows are the donor's, as they mean something else on
    another side; ``unties_head``: the donor's config ties the head, and the result's does not.
    """

    title: str
    recipe: dict[str, Any] | None
    sources: tuple[SourceRecord, ...]
    donor: str
    dtype: str
    shards: tuple[FileRecord, ...]
    companions: tuple[FileRecord, ...]
    versions: dict[str, str]
    nonfinite: tuple[str, ...] = ()
    kept_rows: int = 0
    unties_head: bool = False
    format: int = FORMAT

    def to_json(self) -> str:
        """The content of the manifest file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def make_manifest(
    plan: MergePlan,
    shards: tuple[FileRecord, ...],
    companions: tuple[FileRecord, ...],
    nonfinite: tuple[str, ...],
) -> Manifest:
    """The manifest of a merge that has been carried out."""
    from mi_tui.checkpoints.kernels.compiled_kernel import kernel_name

    return Manifest(
        title=plan.title,
        recipe=None if plan.recipe is None else plan.recipe.model_dump(mode="json", by_alias=True),
        sources=tuple(
            SourceRecord(
                role=source.role,
                reference=source.info.location.reference,
                repository=source.info.location.repository,
                revision=source.info.location.revision,
                header_sha256=source.info.header_sha256,
                weight=source.weight,
                files=identity_of(source.info).files,
                dequantised=source.info.dequantised,
            )
            for source in plan.sources
        ),
        donor=plan.donor.role,
        dtype=plan.dtype,
        shards=shards,
        companions=companions,
        nonfinite=nonfinite,
        kept_rows=len(plan.kept_rows),
        unties_head=plan.unties_head,
        versions={
            "mi-tui": __version__,
            "python": platform.python_version(),
            "kernel": kernel_name(),
        },
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a merged checkpoint.

    Raises:
        CheckpointError: there is none, or it cannot be understood.
    """
    data = read_json(folder / MANIFEST)
    if data is None:
        raise CheckpointError(f"{folder} has no {MANIFEST}: it was not written by mi-tui merge")
    try:
        data["sources"] = tuple(_source(item) for item in data["sources"])
        for key in ("shards", "companions"):
            data[key] = tuple(FileRecord(**item) for item in data[key])
            if not all(_stays_inside(record.name) for record in data[key]):
                raise ValueError("a name leaves the directory")
        data["nonfinite"] = tuple(data["nonfinite"])
        return Manifest(**data)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / MANIFEST} is damaged: merge again") from error


def _stays_inside(name: str) -> bool:
    path = Path(name)
    inside = name.removeprefix(f"{TEMPLATES}/")
    return path.name == inside and path.name not in ("", ".", "..")


def _names_in(folder: Path) -> set[str]:
    """What lies in a merged checkpoint, as the manifest names it."""
    names = {file.name for file in folder.iterdir()}
    templates = folder / TEMPLATES
    if templates.is_dir() and not templates.is_symlink():
        names.discard(TEMPLATES)
        names.update(f"{TEMPLATES}/{file.name}" for file in templates.iterdir())
    return names


def _source(item: dict[str, Any]) -> SourceRecord:
    files = tuple(FileIdentity(**file) for file in item.get("files", ()))
    return SourceRecord(**{**item, "files": files})


def foreign_files(folder: Path) -> tuple[str, ...]:
    """The names in a directory that no merge has written there, in order.

    Raises:
        CheckpointError: the directory's manifest cannot be understood.
    """
    present = _names_in(folder)
    manifest = read_manifest(folder) if MANIFEST in present else None
    records = (*manifest.shards, *manifest.companions) if manifest else ()
    return tuple(sorted(present - {record.name for record in records} - {MANIFEST}))


def record_file(file: Path, progress: Callable[[int], None] | None = None) -> FileRecord:
    """Digest a file; ``progress`` receives the bytes of each block read."""
    digest = hashlib.sha256()
    total = 0
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            total += len(block)
            if progress is not None:
                progress(len(block))
    return FileRecord(file.name, total, digest.hexdigest())


def verify(folder: Path, *, progress: Progress | None = None) -> tuple[Finding, ...]:
    """Compare a merged checkpoint with its manifest, several files at once.

    Returns:
        One finding per file: ``ok``, or ``error`` where a file is missing or changed, and
        ``warning`` for files the manifest does not know; and one for each source whose weights
        were dequantised.

    Raises:
        CheckpointError: there is no usable manifest.
    """
    manifest = read_manifest(folder)
    records = (*manifest.shards, *manifest.companions)
    tally = Tally(sum(record.nbytes for record in records))
    with ThreadPoolExecutor(thread_count()) as pool:
        running = [pool.submit(_verified, folder, record, tally.add) for record in records]
        watch(running, tally, progress)
    findings = [future.result() for future in running]
    findings += [
        Finding("ok", source.role, f"made from {source.dequantised}, read as bf16")
        for source in manifest.sources
        if source.dequantised
    ]
    known = {record.name for record in records} | {MANIFEST}
    others = sorted(_names_in(folder) - known)
    findings += [Finding("warning", name, "not in the manifest") for name in others]
    return tuple(findings)


def _verified(folder: Path, record: FileRecord, count: Callable[[int], None]) -> Finding:
    file = folder / record.name
    try:
        if file.stat().st_size != record.nbytes:
            return Finding("error", record.name, "has another size: merge again")
        if record_file(file, count).sha256 != record.sha256:
            return Finding("error", record.name, "has other content: merge again")
    except OSError:
        return Finding("error", record.name, "is missing or cannot be read: merge again")
    return Finding("ok", record.name, f"sha256 {record.sha256[:16]}…")
