"""Control of studies: create, list, start a worker, leave a request."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from mi_tui.errors import MiTuiError
from mi_tui.paths import expanded, is_directory, is_file
from mi_tui.plan.preset import Preset
from mi_tui.plan.toml import write_preset
from mi_tui.probes.text import shown_line
from mi_tui.study.bounds import require_samples
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts, keep, stored_state
from mi_tui.study.storage.folder import StudyFolder, find_study, named_path, new_study_path
from mi_tui.study.storage.folder import studies_folder as studies_folder
from mi_tui.study.storage.lock import PATIENCE_SECONDS, acquire, is_held
from mi_tui.study.storage.note import read_note
from mi_tui.study.storage.records import RequestKind
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyEntry, StudyState

_OWN = 0o700
"""Who may look into a new study: its owner, until they change the directory's mode."""

_ENDING_SECONDS = 10.0
"""How long a worker may take to end after it has said that it is done."""


def create_study(preset: Preset, path: Path | None = None, name: str | None = None) -> Path:
    """Make a study directory for a preset and return its path; nothing runs yet.

    Args:
        preset: what the study asks.
        path: the directory; one that holds a study of the same preset is taken as it is.
        name: without a path, the study's name in the studies folder, which must be free.

    Raises:
        StudyError: the directory cannot be written, holds another study, or the name is taken.
    """
    preset = _with_absolute_paths(preset)
    folder = _own_folder(preset.title, name) if path is None else _folder_at(path)
    if is_file(folder.database) and _holds_same(folder, preset):
        return folder.path
    # First of all: whoever finds the study shall find what it was made of.
    write_preset(preset, folder.preset)
    with Store(folder.database, create=True) as store:
        keep(
            store,
            preset=preset,
            title=preset.title,
            created=time.time(),
            state=StudyState.NEW,
            message="",
        )
    return folder.path


def _with_absolute_paths(preset: Preset) -> Preset:
    """The preset with relative paths resolved here, since the worker runs elsewhere."""

    def resolved(reference: str | None) -> str | None:
        if reference is None:
            return None
        path = expanded(reference)
        return str(path.resolve()) if is_file(path) or is_directory(path) else reference

    sides = ("instruct", "thinking", "base")
    pair = {side: resolved(getattr(preset.pair, side)) for side in sides}
    probes = tuple(
        probe.model_copy(update={"path": resolved(str(path))})
        if (path := getattr(probe, "path", None))
        else probe
        for probe in preset.probes
    )
    return preset.model_copy(update={"pair": preset.pair.model_copy(update=pair), "probes": probes})


def _own_folder(title: str, name: str | None) -> StudyFolder:
    """A new directory that is nobody else's, even when two studies begin in the same second."""
    while True:
        path = new_study_path(title) if name is None else named_path(name)
        folder = StudyFolder(path.absolute())
        try:
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            folder.path.mkdir(mode=_OWN)
            return folder
        except FileExistsError:
            if name is not None:
                raise StudyError(f"{name} is there already: choose another name") from None
            if not is_directory(folder.path):
                raise StudyError(f"{folder.path} is in the way: move it elsewhere") from None
        except OSError as error:
            raise _not_writable(folder, error) from error


def _folder_at(path: Path) -> StudyFolder:
    """A directory that can be written, made when it is missing."""
    folder = StudyFolder(expanded(path).absolute())
    probe_file = folder.path / ".writable"
    try:
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        folder.path.mkdir(mode=_OWN, exist_ok=True)
        probe_file.unlink(missing_ok=True)
        probe_file.touch(exist_ok=False)
        probe_file.unlink(missing_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error
    return folder


def _not_writable(folder: StudyFolder, error: OSError) -> StudyError:
    reason = (error.strerror or str(error)).lower()
    return StudyError(f"cannot write the study directory {folder.path}: {reason}")


def _holds_same(folder: StudyFolder, preset: Preset) -> bool:
    """Whether a study of this preset is there; false for one whose making was cut short.

    Raises:
        StudyError: a study of another preset is there.
    """
    with Store(folder.database, reading=True) as store:
        facts = Facts.of(store)
    if not facts.is_made:
        return False
    there, kind, running = facts.made_of, preset.engine.kind, facts.preset.engine.kind
    engine = preset.engine.model_copy(update={"kind": there.engine.kind})
    if there.key != preset.model_copy(update={"engine": engine}).key:
        raise StudyError(
            f"{folder.path} holds a study of another preset ({there.title}): "
            "choose another directory"
        )
    if kind not in ("auto", running):
        words = "leaves its engine open" if running == "auto" else f"runs with {running}"
        raise StudyError(
            f"{folder.path} {words}, and {kind} is asked for: leave the engine out, or choose "
            "another directory"
        )
    return True


def start_worker(path: Path) -> None:
    """Start the study's worker as a process of its own that outlives this one.

    The lock is taken here and inherited by the worker, so that of two that start at once one is
    told so at once.

    Raises:
        StudyBusyError: a worker is at it already.
        StudyError: the directory holds no study or cannot be written.
    """
    folder = find_study(path)
    with Store(folder.database) as store:
        ending = stored_state(store).has_ended
    lock = acquire(folder.lock, _ENDING_SECONDS if ending else PATIENCE_SECONDS)
    try:
        with Store(folder.database) as store, store.transaction():
            store.pass_over("stop")  # it was meant for a worker that is gone
            keep(store, state=StudyState.STARTING, message="", death="", started=time.time())
        with _opened_log(folder) as log:
            subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "mi_tui.study.worker.supervisor",
                    str(folder.path),
                    str(lock),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                start_new_session=True,
                pass_fds=(lock,),
                env=_worker_environment(),
            )
    except OSError as error:
        raise StudyError(f"cannot start the worker of {folder.path}: {error}") from error
    finally:
        os.close(lock)


def _opened_log(folder: StudyFolder) -> BinaryIO:
    """The worker's log, to write behind what is there; a link in its place is not followed."""
    how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    log = os.open(folder.log, how, 0o666)
    os.set_blocking(log, True)  # a pipe nobody reads is refused, not waited for
    return os.fdopen(log, "ab")


def _worker_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}


def request(path: Path, kind: RequestKind, **data: Any) -> None:
    """Leave a wish for the worker; it is kept even while none runs.

    ``pause``, ``resume``, ``stop``; ``add`` with ``recipe`` (its JSON); ``more`` with ``recipe``
    (its key) and ``samples``; ``drop`` with ``recipe`` (its key); ``budget`` with ``budget``.

    Raises:
        StudyError: there is no study, or the number of samples makes no sense.
    """
    if kind == "more":
        require_samples(data["samples"])
    with Store(find_study(path).database) as store:
        store.leave_request(kind, data)


def state_of(folder: StudyFolder, stored: StudyState) -> StudyState:
    """The state of a study: what its store says, corrected when the worker is gone."""
    if stored.is_active and not is_held(folder.lock):
        return StudyState.INTERRUPTED
    return stored


def list_studies(root: Path | None = None) -> tuple[StudyEntry, ...]:
    """The studies in a folder (default: the studies folder), the latest first.

    A directory whose database cannot be read is listed as failed, with the reason.
    """
    databases = (root or studies_folder()).glob("*/study.db")
    entries = [entry_of(database.parent) for database in databases]
    return tuple(sorted(entries, key=lambda entry: -entry.modified))


def _modified(folder: StudyFolder) -> float:
    """When the study last changed, in Unix seconds: what is only read does not change.

    The database's log counts while a worker writes it: a reader leaves one, too, and its index.
    """
    files = [folder.database]
    if is_held(folder.lock):
        files.append(folder.database.with_name(folder.database.name + "-wal"))
    times = [0.0]
    for file in files:
        # A worker that ends takes its log away under our eyes.
        with contextlib.suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(times)


def entry_of(path: Path) -> StudyEntry:
    """A study as it stands in a list; one that cannot be read is failed, with the reason."""
    folder = StudyFolder(path)
    modified = _modified(folder)
    try:
        with Store(folder.database, reading=True) as store:
            facts = Facts.of(store)
            rollouts, _ = store.totals()
        facts.require_made()
        best = facts.recommended_lambda
        return StudyEntry(
            path=folder.path,
            name=folder.name,
            title=facts.title,
            state=state_of(folder, facts.state),
            rollouts=rollouts,
            planned=max(facts.progress.planned, rollouts),
            modified=modified,
            best=facts.message if best is None else f"λ {best:g}",
            note=read_note(folder),
        )
    except Exception as error:  # whatever a file of others holds, the other studies are shown
        reason = str(error) if isinstance(error, MiTuiError) else f"{type(error).__name__}: {error}"
        return StudyEntry(
            folder.path,
            folder.name,
            folder.name,
            StudyState.FAILED,
            0,
            0,
            modified,
            shown_line(f"unreadable: {reason}", 300),
        )
