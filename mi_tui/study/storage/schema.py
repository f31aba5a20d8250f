"""The schema of a study's SQLite database, and migrations of older ones.

``rollouts`` is narrow, and ``packed`` holds long stretches of it as compressed columns, so that a
study of 250,000 rollouts loads in a moment; the texts lie compressed in a table of their own.
``asks`` holds every rollout ever planned, by round: what is planned and not yet stored is what a
resumed worker does first. ``answers`` holds what servers have answered until their confirmation is
complete.
"""

import sqlite3

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
