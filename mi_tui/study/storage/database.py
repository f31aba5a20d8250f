"""The SQLite file of a study: opened for writing or reading, with one-line errors."""

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.lock import ELSEWHERE, has_locks, is_held, require_locks
from mi_tui.study.storage.schema import (
    SCHEMA_VERSION,
    migrate,
    require_own_schema,
    schema_version,
)

_PATIENCE_SECONDS = 30.0
"""How long a write waits for another process's."""

_PAUSE_SECONDS = 0.02

_LONGEST_VALUE = 1 << 28
"""Bytes of one value; the largest ever written are probes with their problems."""

_NO_SHARED_MEMORY = (
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
)


class Database:
    """One connection, on which every failure is a :class:`StudyError`.

    A file that this user may not write is opened for reading: a study of someone else's, or on a
    disk that is mounted read-only or full. A study may come from anyone: nothing in the file is
    run, since only the tables and indexes of our own schema are accepted in it.

    Args:
        path: the database file.
        create: make the file and its tables when it is missing.
        reading: change nothing, but for bringing an older schema up to date.

    Raises:
        StudyError: the file is missing, no study database, newer than this program, or cannot
            be opened.
    """

    def __init__(self, path: Path, *, create: bool = False, reading: bool = False) -> None:
        self._path = path
        if not create and not path.is_file():
            raise StudyError(f"no study in {path.parent}: study.db is missing there")
        try:
            self._connection = _opened(path, reading and not create)
            found = schema_version(self._connection)
        except sqlite3.Error as error:
            raise StudyError(
                f"cannot open {path} as a study database: {error}{_remedy(error)}"
            ) from error
        if found != SCHEMA_VERSION:
            self.close()
            raise StudyError(_other_version(path, found))
        self._inode = _inode(path)

    def require_there(self) -> None:
        """Make sure that the file is still the one that was opened: one that is deleted can be
        written and read without an error, and nothing of it is kept.

        Raises:
            StudyError: it was moved or deleted.
        """
        if _inode(self._path) != self._inode:
            raise StudyError(_gone(self._path))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def run(self, query: str, values: Any = ()) -> sqlite3.Cursor:
        """Carry out one statement; a transaction of its own outside of :meth:`transaction`."""
        with self._told():
            return self._connection.execute(query, values)

    def run_many(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Carry out one statement for each row."""
        with self._told():
            self._connection.executemany(query, rows)

    def rows(self, query: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self._told():
            return self._connection.execute(query, values).fetchall()

    def named_rows(self, query: str, values: Any = ()) -> list[dict[str, Any]]:
        """As :meth:`rows`, each by the names of its columns."""
        with self._told():
            cursor = self._connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def row(self, query: str, values: Any = ()) -> tuple[Any, ...] | None:
        """The first row that a query finds."""
        return next(iter(self.rows(query, values)), None)

    def one(self, query: str, values: Any = ()) -> tuple[Any, ...]:
        """The row of a query that always finds one."""
        return self.rows(query, values)[0]

    def number(self, query: str) -> int:
        """The whole number that a query of a single value gives."""
        return int(self.one(query)[0])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside, or none of them."""
        if self._connection.in_transaction:  # a part of the one around it
            yield
            return
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            # On a full disk SQLite has rolled back by itself already.
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """All queries inside see the file as it is at the first of them."""
        self.run("BEGIN")
        try:
            yield
        finally:
            self.run("COMMIT")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StudyError(_words(self._path, error)) from error


def _opened(path: Path, reading: bool) -> sqlite3.Connection:
    """The database with this program's schema, unless it may only be read and is older."""
    if not reading:
        return _open_for_writing(path) or _open_for_reading(path)
    connection = _open_for_reading(path)
    if schema_version(connection) < SCHEMA_VERSION:
        connection.close()
        if (migrated := _open_for_writing(path)) is not None:
            migrated.close()
        connection = _open_for_reading(path)
    return connection


def _connect(path: Path, how: str) -> sqlite3.Connection:
    """A connection on which the file's own words are never run.

    Source: https://sqlite.org/security.html, "Untrusted SQLite database files".
    """
    where = f"file:{quote(str(path.absolute()))}?{how}"
    connection = sqlite3.connect(where, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _open_for_writing(path: Path) -> sqlite3.Connection | None:
    """The database, brought to this program's schema; ``None`` where it may only be read."""
    require_locks(path)
    connection = _connect(path, "mode=rwc")
    try:
        require_own_schema(connection, path)
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        # A step that replaces a table may not find the rows of others tied to it.
        connection.execute("PRAGMA foreign_keys = OFF")
        if schema_version(connection) < SCHEMA_VERSION:
            migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection
    except sqlite3.OperationalError as error:
        connection.close()
        lacking = error.sqlite_errorcode in _NO_SHARED_MEMORY
        if path.is_file() and _is_about_writing(error) and not lacking:
            return None
        raise
    except BaseException:
        connection.close()
        raise


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Readers and a writer shall not wait for each other: https://sqlite.org/wal.html.

    The change to it needs the file alone, and SQLite does not wait for that by itself.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)


def _open_for_reading(path: Path) -> sqlite3.Connection:
    """The database as it is, with what its log (``-wal``) holds.

    SQLite needs a place for a log and shared memory beside the file. Where it has none (the disk
    is full or read-only, the directory someone else's), a file without a log is read as one that
    nobody changes, and one with a log, as a killed worker leaves it, from a copy elsewhere.

    Raises:
        StudyError: the file holds more than our schema, or cannot be read at all.
        sqlite3.Error: the same, in SQLite's words.
    """
    log = path.with_name(path.name + "-wal")
    no_log = not (log.exists() and log.stat().st_size)
    ways = ["mode=rw", "mode=ro"] if has_locks(path) else []
    if no_log:
        ways.append("immutable=1")
    if not ways:
        require_locks(path)
    for last, how in enumerate(ways, 1 - len(ways)):
        connection = _connect(path, how)
        try:
            connection.execute("PRAGMA query_only = ON")
            require_own_schema(connection, path)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if not _is_about_writing(error):
                raise
            if last == 0:
                if no_log or is_held(StudyFolder(path.parent).lock):
                    raise
                return _copied(path, error)
        except BaseException:
            connection.close()
            raise
    raise AssertionError("a way is always left")


def _copied(path: Path, failed: sqlite3.Error) -> sqlite3.Connection:
    """A copy of the database with its log, where there is room for it; gone with the connection.

    Args:
        path: of a database that no worker writes.
        failed: why it cannot be read in its place; raised where it cannot be copied either.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="mi-tui-")))
            copy = folder / path.name
            for end in ("", "-wal"):
                shutil.copyfile(f"{path}{end}", f"{copy}{end}")
        except OSError:
            raise failed from None
        connection = _connect(copy, "mode=rw")
        try:
            connection.execute("PRAGMA query_only = ON")
            require_own_schema(connection, path)
        except BaseException:
            connection.close()
            raise
        # The files are open; without their names they end with the connection.
        return connection


def _is_about_writing(error: sqlite3.Error) -> bool:
    codes = (
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
    )
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in codes


def _other_version(path: Path, found: int) -> str:
    if found > SCHEMA_VERSION:
        return (
            f"{path} was written by a newer mi-tui (schema {found}, this one reads "
            f"{SCHEMA_VERSION}): upgrade mi-tui to open it"
        )
    return (
        f"{path} was written by an older mi-tui and may not be written here: copy the study to a "
        "directory of your own"
    )


def _inode(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of its name; ``None`` where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _gone(path: Path) -> str:
    return f"{path} is gone: the study's directory was moved or deleted"


def _words(path: Path, error: sqlite3.Error) -> str:
    """What failed, and what to do about the failures that have a remedy."""
    if not path.exists():
        return _gone(path)
    return f"{path}: {error}{_remedy(error)}"


def _remedy(error: sqlite3.Error) -> str:
    whole = getattr(error, "sqlite_errorcode", 0)
    if whole in _NO_SHARED_MEMORY:
        return f": its file system has no locks or no shared memory: {ELSEWHERE}"
    code = whole & 0xFF
    return {
        sqlite3.SQLITE_IOERR: ": check the disk",
        sqlite3.SQLITE_FULL: ": make room and start the study again; what is stored is safe",
        sqlite3.SQLITE_READONLY: ": copy the study to a directory of your own",
        sqlite3.SQLITE_BUSY: ": another process holds it; try again",
        sqlite3.SQLITE_CORRUPT: ": the file is damaged; restore it from a copy",
        sqlite3.SQLITE_NOTADB: ": the file is damaged; restore it from a copy",
    }.get(code, "")
