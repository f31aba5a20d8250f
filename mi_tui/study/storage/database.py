"""The SQLite file of a study: opened for writing or reading, with one-line errors."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.schema import SCHEMA_VERSION, migrate, schema_version

_PATIENCE_SECONDS = 30.0
"""How long a write waits for another process's."""

_PAUSE_SECONDS = 0.02


class Database:
    """One connection, on which every failure is a :class:`StudyError`.

    A file that this user may not write is opened for reading: a study of someone else's, or on a
    disk that is mounted read-only.

    Args:
        path: the database file.
        create: make the file and its tables when it is missing.

    Raises:
        StudyError: the file is missing, no study database, newer than this program, or cannot
            be opened.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self._path = path
        if not create and not path.is_file():
            raise StudyError(f"no study in {path.parent}: study.db is missing there")
        try:
            self._connection = _open_for_writing(path) or _open_for_reading(path)
            found = schema_version(self._connection)
        except sqlite3.Error as error:
            raise StudyError(f"cannot open {path} as a study database: {error}") from error
        if found != SCHEMA_VERSION:
            self.close()
            raise StudyError(_other_version(path, found))

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


def _open_for_writing(path: Path) -> sqlite3.Connection | None:
    """The database, brought to this program's schema; ``None`` where it may only be read."""
    connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None)
    try:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        if schema_version(connection) < SCHEMA_VERSION:
            migrate(connection)
        return connection
    except sqlite3.OperationalError as error:
        connection.close()
        if path.is_file() and _is_about_writing(error):
            return None
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
    """The database as it is.

    While its log (``-wal``) is there someone writes, or was killed writing, and the log is read,
    too; without a log nothing changes, and SQLite is told so, as it could not make one.
    """
    log = path.with_name(path.name + "-wal")
    how = "mode=ro" if log.exists() else "immutable=1"
    where = f"file:{quote(str(path.absolute()))}?{how}"
    return sqlite3.connect(where, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)


def _is_about_writing(error: sqlite3.Error) -> bool:
    codes = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
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


def _words(path: Path, error: sqlite3.Error) -> str:
    """What failed, and what to do about the failures that have a remedy."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    remedy = {
        sqlite3.SQLITE_FULL: ": make room and start the study again; what is stored is safe",
        sqlite3.SQLITE_READONLY: ": copy the study to a directory of your own",
        sqlite3.SQLITE_BUSY: ": another process holds it; try again",
        sqlite3.SQLITE_CORRUPT: ": the file is damaged; restore it from a copy",
        sqlite3.SQLITE_NOTADB: ": the file is damaged; restore it from a copy",
    }.get(code, "")
    return f"{path}: {error}{remedy}"
