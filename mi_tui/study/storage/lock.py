"""The lock of a study: one worker at a time, freed when its holder dies."""

import fcntl
import os
import time
from pathlib import Path

from mi_tui.study.storage.errors import StudyBusyError, StudyError
from mi_tui.study.storage.folder import StudyFolder

PATIENCE_SECONDS = 0.5


def acquire(path: Path, patience: float = PATIENCE_SECONDS) -> int:
    """Take the lock and return the open file descriptor that holds it.

    Waits up to ``patience`` seconds for a holder that is about to end.

    The descriptor may be inherited by a child process, which then holds the lock as well; the
    operating system frees it when the last holder closes it or dies.

    Raises:
        StudyBusyError: a living worker holds it.
        StudyError: the lock file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StudyError(f"cannot lock {path}: {(error.strerror or str(error)).lower()}") from error
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            # A reader that looks whether the lock is held holds it for an instant itself.
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise StudyBusyError(
                    f"a worker is running in {path.parent} already: watch it with "
                    f"mi-tui watch {StudyFolder(path.parent).reference}"
                ) from None
            time.sleep(0.02)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
