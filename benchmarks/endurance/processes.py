"""The processes of a study: found by what they run, asked where they are, ended by signals."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE_SECONDS = 180.0

_SUPERVISOR = "mi_tui.study.worker.supervisor"
_SCORER = "mi_tui.probes.scoring.process"
_REPLICA = "multiprocessing.spawn"


def command_of(pid: int) -> str:
    """The command line of a process; empty when there is none of that number."""
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return content.replace(b"\0", b" ").decode(errors="replace")


def processes() -> Iterator[int]:
    """The numbers of all processes that there are."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def supervisor_of(study: Path) -> int | None:
    """The process that watches a study's worker, from its first moment: it leads its session."""
    found = _watching_or_working(study)
    return next((pid for pid in found if _session_of(pid) == pid), None)


def worker_of(study: Path) -> int | None:
    """The worker of a study, from its first moment; it may have lost its supervisor.

    It is forked from the supervisor, and so has its words.
    """
    found = _watching_or_working(study)
    return next((pid for pid in found if _session_of(pid) != pid), None)


def _watching_or_working(study: Path) -> set[int]:
    words = f"{_SUPERVISOR} {study} "
    return {pid for pid in processes() if words in command_of(pid)}


def _session_of(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return None


def _parent_of(pid: int) -> int | None:
    with contextlib.suppress(OSError, IndexError, ValueError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[1])
    return None


def children_of(pid: int) -> list[int]:
    """The processes that one has started itself."""
    return [child for child in processes() if _parent_of(child) == pid]


def scorer_of(study: Path) -> int | None:
    """The process that scores a study's responses."""
    return _child(study, _SCORER)


def replica_of(study: Path) -> int | None:
    """One of the engine's processes, where a study has several."""
    return _child(study, _REPLICA)


def _child(study: Path, words: str) -> int | None:
    worker = worker_of(study)
    children = [] if worker is None else children_of(worker)
    return next((pid for pid in children if words in command_of(pid)), None)


def end(pid: int, how: signal.Signals) -> bool:
    """Send a signal; whether there was such a process."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> None:
    """Wait for a process that is not a child of this one.

    Raises:
        TimeoutError: it does not end.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while command_of(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"a process does not end: {command_of(pid)}")
        time.sleep(0.02)


def phase_of(study: Path) -> str:
    """Where a study is: what its worker does while it runs, otherwise its state."""
    try:
        with contextlib.closing(_read_only(study)) as db:
            facts = dict(db.execute("SELECT key, value FROM meta WHERE key IN (?, ?)", _FACTS))
    except sqlite3.Error:
        return "none yet"
    state = str(facts.get("state", '"making"')).strip('"')
    if state not in ("starting", "running"):
        return state
    _, _, phase = str(facts.get("progress", "")).partition('"phase": "')
    return phase.partition('"')[0] or state


_FACTS = ("state", "progress")


def _read_only(study: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{study / 'study.db'}?mode=ro", uri=True, timeout=5.0)


def stored(study: Path) -> list[tuple[object, ...]]:
    """Everything about a study's rollouts but when and how fast they were made, in one order."""
    with contextlib.closing(_read_only(study)) as db:
        return db.execute(
            """SELECT c.key, p.name, r.sample, r.round, r.seed, r.score, r.tokens, r.think_tokens,
                      r.thinking, r.truncated, r.answer, r.failure, t.body
               FROM rollouts r JOIN recipes c ON c.id = r.recipe
               JOIN problems p ON p.id = r.problem JOIN texts t ON t.rollout = r.id
               ORDER BY c.key, p.name, r.sample"""
        ).fetchall()


def planned(study: Path) -> list[tuple[object, ...]]:
    """Everything that a study ever planned, in one order."""
    with contextlib.closing(_read_only(study)) as db:
        return db.execute(
            """SELECT c.key, p.name, a.sample, a.round FROM asks a
               JOIN recipes c ON c.id = a.recipe JOIN problems p ON p.id = a.problem
               ORDER BY c.key, p.name, a.sample"""
        ).fetchall()


def is_whole(study: Path) -> bool:
    """Whether SQLite finds nothing wrong with a study's file."""
    with contextlib.closing(_read_only(study)) as db:
        return db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
