"""The list of studies for one who looks at it again and again: only what has changed is read."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mi_tui.study.control import entry_of
from mi_tui.study.storage.folder import StudyFolder, studies_folder
from mi_tui.study.storage.lock import is_held
from mi_tui.study.view import StudyEntry, StudyState

_SETTLED_SECONDS = 2.0
"""How old a change must be to be sure that no other falls into the same tick of the clock."""

_Stamp: TypeAlias = tuple[tuple[int, int, int, int], ...]
"""Inode, size, and times of change (nanoseconds) of a study's database, its log and its note."""


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: _Stamp
    entry: StudyEntry


class StudyListing:
    """Studies as :func:`mi_tui.study.control.list_studies` lists them, read when they change.

    A look at studies of which none has changed opens no file but the locks of running ones.

    Args:
        root: their folder; by default the studies folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._folder: tuple[Path, int] | None = None
        self._names: list[str] = []
        self._seen: dict[str, _Seen] = {}
        self._entries: tuple[StudyEntry, ...] = ()

    def entries(self) -> tuple[StudyEntry, ...]:
        """The studies, the latest first; the same object as long as nothing has changed."""
        root = self._root or studies_folder()
        seen: dict[str, _Seen] = {}
        changed = False
        for name in self._folders(root):
            path = f"{root}/{name}"
            stamp = _stamp(path)
            if stamp is None:
                continue
            was = self._seen.get(path)
            if was is None or was.stamp != stamp or _has_another_worker(was.entry):
                was = _Seen(stamp if _is_settled(stamp) else (), entry_of(Path(path)))
                changed = True
            seen[path] = was
        if changed or seen.keys() != self._seen.keys():
            self._entries = tuple(
                sorted((one.entry for one in seen.values()), key=lambda entry: -entry.modified)
            )
        self._seen = seen
        return self._entries

    def _folders(self, root: Path) -> list[str]:
        """The names of the directories in the studies folder, listed anew when it has changed."""
        try:
            now = (root, os.stat(root).st_mtime_ns)  # noqa: PTH116 - asked of thousands
            if now != self._folder or time.time_ns() - now[1] < _SETTLED_SECONDS * 1e9:
                with os.scandir(root) as found:
                    self._names = sorted(each.name for each in found if each.is_dir())
                self._folder = now
        except OSError:
            self._folder, self._names = None, []
        return self._names


def _stamp(path: str) -> _Stamp | None:
    """What tells that a study has changed; ``None`` where there is none."""
    stamp: list[tuple[int, int, int, int]] = []
    for file in (f"{path}/study.db", f"{path}/study.db-wal", f"{path}/note.txt"):
        try:
            facts = os.stat(file)  # noqa: PTH116 - a path object for each would cost more
        except OSError:
            if not stamp:
                return None
            continue
        # A reader, too, leaves an empty log.
        if not stamp or facts.st_size:
            stamp.append((facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))
    return tuple(stamp)


def _has_another_worker(entry: StudyEntry) -> bool:
    """Whether a worker has gone, or come, without a word in the database."""
    if not entry.state.is_active and entry.state is not StudyState.INTERRUPTED:
        return False
    return is_held(StudyFolder(entry.path).lock) != entry.state.is_active


def _is_settled(stamp: _Stamp) -> bool:
    return time.time_ns() - max(each[3] for each in stamp) > _SETTLED_SECONDS * 1e9
