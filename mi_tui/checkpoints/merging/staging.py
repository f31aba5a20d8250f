"""Staging: a directory written as a whole or not at all.

The files are written to a hidden directory beside the target, synced, and renamed in one step.
A killed run leaves only that hidden directory; the next run on the same target removes it.
"""

import ctypes
import fcntl
import glob
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.merging.companions import MANIFEST

_LOCK = ".lock"


@contextmanager
def staged(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A directory that becomes ``out`` when the block ends well, and vanishes when it does not.

    Args:
        out: the target; its parents are created. An existing empty directory is replaced.
        overwrite: also replace a directory with content, after the new one is complete.

    Raises:
        CheckpointError: the target has content, or its place cannot be written.
    """
    out = out.absolute()
    _refuse_content(out, overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(out)
        staging = Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CheckpointError(f"cannot write {out}: {reason}: choose another place") from error
    lock = os.open(staging / _LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR)
    whole = os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for held in (lock, whole):
            with suppress(OSError):  # Some network file systems have no locks.
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with _termination_as_exit():
            yield staging
        (staging / _LOCK).unlink()
        staging.chmod(0o777 & ~_umask())
        sync(staging)
        _replace(staging, out, overwrite)
        sync(out.parent)
    finally:
        os.close(lock)
        os.close(whole)
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a lost terminal, unwind the block, so that it cleans up.

    Only where nobody else handles or ignores them.
    """
    in_main = threading.current_thread() is threading.main_thread()
    ours = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if in_main and signal.getsignal(number) is signal.SIG_DFL
    ]

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a directory, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prefix(out: Path) -> str:
    return f".{out.name}.partial-"


def _refuse_content(out: Path, overwrite: bool) -> None:
    if out.is_file():
        raise CheckpointError(f"{out} is a file: choose another place")
    if not overwrite and out.is_dir() and any(out.iterdir()):
        raise CheckpointError(f"{out} is not empty: choose another place, or ask to overwrite it")


def _remove_stale(out: Path) -> None:
    """Remove what killed runs left; a run still at work holds the lock on its directory."""
    for stale in out.parent.glob(glob.escape(_prefix(out)) + "*"):
        if stale.is_symlink() or not stale.is_dir():
            continue
        try:
            lock = os.open(stale / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            # Killed between the last step and the rename: ours, when a manifest says so.
            if (stale / MANIFEST).is_file() and _is_free(stale):
                shutil.rmtree(stale, ignore_errors=True)
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(stale, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)


def _is_free(folder: Path) -> bool:
    """Whether no run holds the directory itself, which it does up to the end of its rename."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(held)


def _replace(staging: Path, out: Path, overwrite: bool) -> None:
    _refuse_content(out, overwrite)
    if not (out.is_dir() and any(out.iterdir())):
        staging.rename(out)
        return
    if _exchange(staging, out):
        shutil.rmtree(staging, ignore_errors=True)  # what was there before
        return
    old = Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent))
    out.rename(old)
    staging.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two directories take each other's name in one step; false where no such step is.

    Source: renameat2(2), ``RENAME_EXCHANGE``; Python has no name for it.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
