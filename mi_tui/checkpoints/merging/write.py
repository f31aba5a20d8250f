"""The merge of checkpoints into a new directory, streamed, all or nothing."""

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.locate import TEMPLATES
from mi_tui.checkpoints.merging.companions import (
    CARD,
    MANIFEST,
    companion_name,
    copy_companions,
)
from mi_tui.checkpoints.merging.manifest import (
    FileRecord,
    Manifest,
    foreign_files,
    make_manifest,
    record_file,
)
from mi_tui.checkpoints.merging.model_card import StudyFacts, model_card
from mi_tui.checkpoints.merging.pipeline import write_shards
from mi_tui.checkpoints.merging.plan import SHARD_BYTES, MergePlan, plan_merge
from mi_tui.checkpoints.merging.shards import Shard, index_of, lay_out
from mi_tui.checkpoints.merging.staging import staged, sync
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.checkpoints.merging.threads import Progress
from mi_tui.checkpoints.weight_files import INDEX
from mi_tui.machine.host import free_disk
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from mi_tui.text.sizes import in_bytes


def merge(
    recipe: Recipe,
    pair: Pair,
    out: Path,
    *,
    dtype: MergeDtype = "auto",
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    allow_nonfinite: bool = False,
    study: StudyFacts | None = None,
) -> Manifest:
    """Plan a merge and carry it out; see :func:`plan_merge` and :func:`carry_out`."""
    plan = plan_merge(recipe, pair, out, dtype=dtype, shard_bytes=shard_bytes)
    return carry_out(
        plan,
        progress=progress,
        threads=threads,
        overwrite=overwrite,
        allow_nonfinite=allow_nonfinite,
        study=study,
    )


def carry_out(
    plan: MergePlan,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    allow_nonfinite: bool = False,
    study: StudyFacts | None = None,
) -> Manifest:
    """Write the merged checkpoint of a plan.

    The directory appears complete and synced, or not at all: also after a crash, an interrupt
    or a full disk. Memory stays at some MiB for each thread, whatever the model's size.

    Args:
        plan: what to write and where.
        progress: receives bytes done and bytes in all, about ten times a second.
        threads: number of threads; all cores, and at most eight, unless told otherwise.
        overwrite: replace an earlier merge; never a directory with files of another origin.
        allow_nonfinite: write tensors with NaN or Inf, and name them in the manifest.
        study: what a study measured, for the model card.

    Raises:
        CheckpointError: the target has content, the disk is too full, a source changed under
            the merge, integer tensors differ, or there are NaN or Inf values.
    """
    _protect(plan, overwrite)
    free = free_disk(plan.out)
    if plan.disk_needed > free:
        raise CheckpointError(
            f"{plan.out} needs {in_bytes(plan.disk_needed)} and its disk has {in_bytes(free)} "
            "free: free some room or choose another place"
        )
    try:
        with staged(plan.out, overwrite=overwrite) as folder:
            shards = lay_out(plan.tensors, plan.shard_bytes)
            records, nonfinite = write_shards(folder, shards, threads=threads, progress=progress)
            if nonfinite and not allow_nonfinite:
                raise CheckpointError(_complaint(nonfinite))
            companions = _write_companions(folder, plan, shards, study)
            manifest = make_manifest(plan, records, companions, nonfinite)
            _write_text(folder / MANIFEST, manifest.to_json())
    except OSError as error:
        raise CheckpointError(_reason(plan, error)) from error
    return manifest


def _protect(plan: MergePlan, overwrite: bool) -> None:
    """Never write over a source, and overwrite nothing but what a merge has written.

    Raises:
        CheckpointError: the target is or holds a source, or has files of another origin.
    """
    out = plan.out.resolve()
    for source in plan.sources:
        path = source.info.location.path.resolve()
        if out == path or out in path.parents:
            raise CheckpointError(
                f"{plan.out} would replace the source {path}: choose another place"
            )
    if not (overwrite and out.is_dir()):
        return
    foreign = foreign_files(out)
    if foreign:
        raise CheckpointError(
            f"{plan.out} holds {foreign[0]}, which no merge wrote: choose another place"
        )


def _reason(plan: MergePlan, error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    advice = " and try again: nothing was left behind"
    if error.errno == errno.ENOSPC:
        return f"cannot write {plan.out}: the disk is full: free some room{advice}"
    return f"cannot write {plan.out}: {reason}: check the disk{advice}"


def _complaint(nonfinite: Sequence[str]) -> str:
    names = ", ".join(nonfinite[:3]) + (f" and {len(nonfinite) - 3} more" * (len(nonfinite) > 3))
    return f"NaN or Inf in {names}: check the sources and the dtype, or allow them"


def _write_companions(
    folder: Path, plan: MergePlan, shards: Sequence[Shard], study: StudyFacts | None
) -> tuple[FileRecord, ...]:
    copy_companions(plan.companions, folder, plan.config, plan.output_dtypes)
    if len(shards) > 1:
        _write_text(folder / INDEX, json.dumps(index_of(shards), indent=2) + "\n")
    _write_text(folder / CARD, model_card(plan, study))
    names = [companion_name(file) for file in plan.companions]
    written = [*names, *([INDEX] if len(shards) > 1 else []), CARD]
    for name in names:
        sync(folder / name)
    if (folder / TEMPLATES).is_dir():
        sync(folder / TEMPLATES)
    return tuple(replace(record_file(folder / name), name=name) for name in written)


def _write_text(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
