"""The lock of a study: one worker at a time, freed when its holder dies."""

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from mi_tui.study.storage.errors import StudyBusyError, StudyError
from mi_tui.study.storage.folder import StudyFolder

PATIENCE_SECONDS = 0.5

ELSEWHERE = "keep studies on a local disk: set MI_TUI_STUDIES, or give --study"
"""What to do about a file system that is no place for studies."""

_LACKING = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def has_locks(path: Path) -> bool:
    """Whether the file system of a study's file has locks; SQLite would wait for them in vain.

    Asked of the preset beside the file: to close another descriptor of a database would free the
    locks that SQLite holds (https://sqlite.org/howtocorrupt.html, section 2.2).
    """
    asked = StudyFolder(path.parent).preset
    try:
        descriptor = os.open(asked if asked.exists() else path.parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        for lock in (fcntl.lockf, fcntl.flock):
            if lock is fcntl.flock or asked.exists():
                lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _LACKING
    finally:
        os.close(descriptor)
    return True


def require_locks(path: Path) -> None:
    """Refuse a place for a study whose file system has no locks.

    Raises:
        StudyError: it has none.
    """
    if not has_locks(path):
        raise StudyError(f"the file system of {path.parent} has no locks: {ELSEWHERE}")


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
        # Who may only read cannot open it, and so cannot hold it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StudyError(f"cannot lock {path}: {(error.strerror or str(error)).lower()}") from error
    _close_to_readers(descriptor, StudyFolder(path.parent).database)
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
        except OSError as error:
            os.close(descriptor)
            reason = (error.strerror or str(error)).lower()
            raise StudyError(f"cannot lock {path}: {reason}: {ELSEWHERE}") from error


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return _is_listed(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False  # no locks here, and so no worker
    finally:
        os.close(descriptor)


def _close_to_readers(descriptor: int, database: Path) -> None:
    """Let only those open the lock who may write the study: to open it is enough to hold it."""
    with contextlib.suppress(OSError):  # not ours to change
        writers = database.stat().st_mode & 0o222 | 0o200
        os.fchmod(descriptor, writers | writers << 1)


def _is_listed(path: Path) -> bool:
    """Whether the system lists a lock on a file that this user may not open.

    Source: proc_locks(5); device numbers differ on some file systems, inodes do not.
    """
    try:
        inode = path.stat().st_ino
        listed = Path("/proc/locks").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    fields = [line.replace("->", "").split() for line in listed]
    held = [each[5].rpartition(":")[2] for each in fields if len(each) > 5 and "FLOCK" in each]
    return str(inode) in held
