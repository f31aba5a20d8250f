"""The schema of a study's SQLite database, and migrations of older ones.

``rollouts`` is narrow, and ``packed`` holds long stretches of it as compressed columns, so that a
study of 250,000 rollouts loads in a moment; the texts lie compressed in a table of their own.
``asks`` holds every rollout ever planned, by round: what is planned and not yet stored is what a
resumed worker does first. ``answers`` holds what servers have answered until their confirmation is
complete. A response that could not be scored has no ``score``.
"""

import sqlite3
from functools import cache
from pathlib import Path

from mi_tui.study.storage.errors import StudyError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE probes (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        sha256 TEXT NOT NULL,
        example TEXT NOT NULL DEFAULT '',
        body BLOB NOT NULL
    );
    CREATE TABLE problems (
        id INTEGER PRIMARY KEY,
        probe INTEGER NOT NULL REFERENCES probes (id),
        name TEXT NOT NULL,
        stratum TEXT NOT NULL,
        weight REAL NOT NULL,
        cap INTEGER NOT NULL,
        held_out INTEGER NOT NULL,
        UNIQUE (probe, name)
    );
    CREATE TABLE recipes (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL,
        added_by TEXT NOT NULL,
        dropped INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE asks (
        recipe INTEGER NOT NULL REFERENCES recipes (id),
        problem INTEGER NOT NULL REFERENCES problems (id),
        sample INTEGER NOT NULL,
        round INTEGER NOT NULL,
        PRIMARY KEY (recipe, problem, sample)
    ) WITHOUT ROWID;
    CREATE TABLE rollouts (
        id INTEGER PRIMARY KEY,
        recipe INTEGER NOT NULL REFERENCES recipes (id),
        problem INTEGER NOT NULL REFERENCES problems (id),
        sample INTEGER NOT NULL,
        round INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        score REAL NOT NULL,
        tokens INTEGER NOT NULL,
        think_tokens INTEGER NOT NULL,
        thinking INTEGER NOT NULL,
        truncated INTEGER NOT NULL,
        answer TEXT,
        failure TEXT,
        seconds REAL NOT NULL,
        finished REAL NOT NULL,
        UNIQUE (recipe, problem, sample)
    );
    CREATE TABLE texts (rollout INTEGER PRIMARY KEY REFERENCES rollouts (id), body BLOB NOT NULL);
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        created REAL NOT NULL,
        handled REAL
    );
    CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        time REAL NOT NULL,
        level TEXT NOT NULL,
        message TEXT NOT NULL
    );
    """,
    """
    CREATE INDEX rollouts_by_recipe ON rollouts (recipe);
    CREATE INDEX rollouts_by_problem ON rollouts (problem);
    CREATE TABLE packed (
        after INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        rollouts INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE answers (
        asked TEXT NOT NULL,
        problem INTEGER NOT NULL REFERENCES problems (id),
        sample INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (asked, problem, sample)
    ) WITHOUT ROWID;
    """,
    """
    CREATE INDEX asks_by_round ON asks (round);
    """,
    """
    CREATE TABLE scored (
        id INTEGER PRIMARY KEY,
        recipe INTEGER NOT NULL REFERENCES recipes (id),
        problem INTEGER NOT NULL REFERENCES problems (id),
        sample INTEGER NOT NULL,
        round INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        score REAL,
        tokens INTEGER NOT NULL,
        think_tokens INTEGER NOT NULL,
        thinking INTEGER NOT NULL,
        truncated INTEGER NOT NULL,
        answer TEXT,
        failure TEXT,
        seconds REAL NOT NULL,
        finished REAL NOT NULL,
        UNIQUE (recipe, problem, sample)
    );
    INSERT INTO scored
        SELECT id, recipe, problem, sample, round, seed,
            CASE WHEN failure IS NULL OR truncated THEN score END,
            tokens, think_tokens, thinking, truncated, answer, failure, seconds, finished
        FROM rollouts;
    DELETE FROM packed
        WHERE EXISTS (SELECT 1 FROM rollouts WHERE failure IS NOT NULL AND NOT truncated);
    DROP TABLE rollouts;
    ALTER TABLE scored RENAME TO rollouts;
    CREATE INDEX rollouts_by_recipe ON rollouts (recipe);
    CREATE INDEX rollouts_by_problem ON rollouts (problem);
    """,
)
"""One script per schema version; applied in order, each in a transaction of its own."""

SCHEMA_VERSION = len(MIGRATIONS)


def schema_version(connection: sqlite3.Connection) -> int:
    """The version a database was left at; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to :data:`SCHEMA_VERSION`; an interrupted step leaves no trace.

    Two processes may meet here: the second finds the steps done that it waited for.
    """
    while (version := schema_version(connection)) < SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if schema_version(connection) == version:
                for statement in filter(str.strip, MIGRATIONS[version].split(";")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def require_own_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that holds anything but what :data:`MIGRATIONS` make: a trigger, a view.

    Source: https://sqlite.org/security.html. A file of a newer version is left to the check of
    its version.

    Raises:
        StudyError: it holds something else, or lacks something.
        sqlite3.Error: it is no database.
    """
    connection.execute("BEGIN")  # both at one moment: another process may be at a migration
    try:
        version, found = schema_version(connection), _objects(connection)
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
    if version > SCHEMA_VERSION:
        return
    own = _own_objects(max(version, 0))
    if strange := sorted(found - own):
        kind, name, _ = strange[0]
        raise StudyError(
            f"{path} holds a {kind} {name[:60]!r} that mi-tui did not make: do not use this file"
        )
    if own - found:
        raise StudyError(f"{path} lacks tables of a study: restore it from a copy")


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[str, str, str]]:
    """Kind, name and definition of all that a database declares; spaces do not count."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
    return frozenset(
        (str(kind), str(name), " ".join(str(sql or "").split()))
        for kind, name, sql in rows
        if not str(name).startswith("sqlite_stat")  # what ANALYZE leaves: plain tables
    )


@cache
def _own_objects(version: int) -> frozenset[tuple[str, str, str]]:
    connection = sqlite3.connect(":memory:")
    try:
        for script in MIGRATIONS[:version]:
            connection.executescript(script)
        return _objects(connection)
    finally:
        connection.close()
