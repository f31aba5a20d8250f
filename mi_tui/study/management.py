"""Management of study directories: rename and delete."""

import os
import shutil
from pathlib import Path

from mi_tui.study.control import request
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder, find_study, name_problem
from mi_tui.study.storage.lock import acquire, is_held

_PATIENCE_SECONDS = 30.0
"""How long a worker that was asked to stop may take before its study is deleted."""


def rename_study(reference: Path | str, name: str) -> Path:
    """Give a study another name, which is that of its directory; returns the new path.

    Raises:
        StudyError: there is no such study, the name is not valid or taken, or the directory
            cannot be written.
        StudyBusyError: a worker is at it.
    """
    if problem := name_problem(name):
        raise StudyError(f"{name!r} is no name for a study: {problem}")
    folder = find_study(reference)
    target = folder.path.with_name(name)
    if target == folder.path:
        return target
    lock = acquire(folder.lock)
    try:
        if target.exists():
            raise StudyError(f"{target} is there already: choose another name")
        folder.path.rename(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StudyError(f"cannot rename {folder.path}: {reason}") from error
    finally:
        os.close(lock)
    return target


def delete_study(reference: Path | str) -> None:
    """Delete a study's directory with everything in it, its exports among it.

    A worker at it is asked to stop, and waited for.

    Raises:
        StudyError: there is no such study, or it cannot be deleted.
        StudyBusyError: its worker has not ended in half a minute.
    """
    folder = find_study(reference)
    lock = _taken_over(folder)
    try:
        shutil.rmtree(folder.path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StudyError(f"cannot delete {error.filename or folder.path}: {reason}") from error
    finally:
        os.close(lock)


def _taken_over(folder: StudyFolder) -> int:
    """The study's lock, once its worker has ended."""
    if is_held(folder.lock):
        request(folder.path, "stop")
    return acquire(folder.lock, _PATIENCE_SECONDS)
