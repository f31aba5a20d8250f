"""The store: everything that a study keeps, one transaction per method.

Outside of this module recipes and problems are indices, counted from 0 in the order they were
added; SQLite's ids count from 1 and stay in here.

One worker writes; any number of readers read (write-ahead log). Every method is one
transaction, so that ``kill -9`` at any moment leaves whole rollouts only.
"""

import json
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mi_tui.analysis.observations import ProblemRow
from mi_tui.plan.recipe import Recipe
from mi_tui.probes.problem import Probe
from mi_tui.probes.text import shown_line
from mi_tui.study.storage.compressed import LARGEST_TEXT, decompressed
from mi_tui.study.storage.database import Database
from mi_tui.study.storage.errors import readable
from mi_tui.study.storage.possible import amount, count, positive, require_rollout
from mi_tui.study.storage.records import PlannedAsk, RequestKind, Rollout, StoredRequest


def _id(index: int) -> int:
    """The id of the row of a recipe or problem: SQLite counts from 1."""
    return index + 1


class Store:
    """One connection to ``study.db``.

    Args:
        path: the database file.
        create: make the file and its tables when it is missing.
        reading: change nothing.

    Raises:
        StudyError: the file is missing, no study database, newer than this program, or cannot
            be opened; every method may raise it, too, when the file cannot be read or written.
    """

    def __init__(self, path: Path, *, create: bool = False, reading: bool = False) -> None:
        self.path = path
        self._db = Database(path, create=create, reading=reading)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def require_there(self) -> None:
        """Make sure that the file was not moved or deleted since it was opened.

        Raises:
            StudyError: it was.
        """
        self._db.require_there()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- facts about the study ------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """The JSON value kept under a key."""
        row = self._db.row("SELECT value FROM meta WHERE key = ?", (key,))
        with readable(self.path, f"a fact ({key})"):
            return default if row is None else json.loads(row[0])

    def get_many(self) -> dict[str, Any]:
        """All keys and values."""
        rows = self._db.rows("SELECT key, value FROM meta")
        with readable(self.path, "facts"):
            return {str(key): json.loads(value) for key, value in rows}

    def put(self, **values: Any) -> None:
        """Keep JSON values under their keys, all in one transaction."""
        rows = [(key, json.dumps(value)) for key, value in values.items()]
        with self._db.transaction():
            self._db.run_many("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def append(self, key: str, value: Any) -> None:
        """Add a JSON value to the list kept under a key; others may do so at the same time."""
        with self._db.transaction():
            values = json.dumps([*self.get(key, []), value])
            self._db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, values))

    def log(self, message: str, level: str = "info") -> None:
        """Add a line to the study's log."""
        self._db.run(
            "INSERT INTO log (time, level, message) VALUES (?, ?, ?)",
            (time.time(), level, message),
        )

    def log_lines(self, limit: int = 200) -> list[tuple[float, str, str]]:
        """The last lines of the log, oldest first: (Unix time, level, message)."""
        query = "SELECT time, level, message FROM log ORDER BY id DESC LIMIT ?"
        rows = self._db.rows(query, (limit,))[::-1]
        with readable(self.path, "a log"):
            times = [amount("a time", at) for at, _, _ in rows]
        return [
            (at, shown_line(level, 20), shown_line(said))
            for at, (_, level, said) in zip(times, rows, strict=True)
        ]

    def data_version(self) -> int:
        """A number that differs after another connection has changed the database."""
        return self._db.number("PRAGMA data_version")

    # -- probes and recipes ---------------------------------------------------------------

    def add_probes(self, probes: Sequence[Probe]) -> None:
        """Keep frozen probes with their problems; done once, when the study starts."""
        with self._db.transaction():
            for probe in probes:
                body = zlib.compress(probe.to_json().encode())
                cursor = self._db.run(
                    "INSERT INTO probes (name, sha256, body) VALUES (?, ?, ?)",
                    (probe.name, probe.sha256, body),
                )
                weight = probe.weight / len(probe.problems)
                self._db.run_many(
                    "INSERT INTO problems (probe, name, stratum, weight, cap, held_out)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (cursor.lastrowid, p.id, p.stratum, weight, probe.max_new_tokens,
                         p.split == "held-out")
                        for p in probe.problems
                    ],
                )  # fmt: skip

    def probes(self) -> list[Probe]:
        """The frozen probes, in the order they were added."""
        rows = self._db.rows("SELECT body FROM probes ORDER BY id")
        with readable(self.path, "a probe"):
            return [Probe.from_json(decompressed(body).decode()) for (body,) in rows]

    def set_example(self, probe: str, prompt: str) -> None:
        """Keep a probe's first problem as the model sees it."""
        self._db.run("UPDATE probes SET example = ? WHERE name = ?", (prompt, probe))

    def examples(self) -> dict[str, str]:
        """Each probe's first rendered prompt."""
        return dict(self._db.rows("SELECT name, example FROM probes"))

    def problem_rows(self) -> tuple[ProblemRow, ...]:
        """The problems in the order of their indices."""
        query = """SELECT probes.name, problems.name, stratum, weight, cap, held_out
                   FROM problems JOIN probes ON probes.id = probe ORDER BY problems.id"""
        with readable(self.path, "problems"):
            return tuple(
                ProblemRow(
                    shown_line(probe),
                    shown_line(name),
                    shown_line(stratum),
                    positive("a problem's weight", weight),
                    count("a problem's cap", cap),
                    bool(held_out),
                )
                for probe, name, stratum, weight, cap, held_out in self._db.rows(query)
            )

    def recipe_index(self, recipe: Recipe, added_by: str = "search") -> int:
        """The index of a recipe; a new one is added."""
        self._db.run(
            "INSERT OR IGNORE INTO recipes (key, body, added_by) VALUES (?, ?, ?)",
            (recipe.key, recipe.canonical_json(), added_by),
        )
        query = "SELECT id - 1 FROM recipes WHERE key = ?"
        return int(self._db.one(query, (recipe.key,))[0])

    def recipes(self) -> tuple[Recipe, ...]:
        """All recipes in the order of their indices."""
        rows = self._db.rows("SELECT body FROM recipes ORDER BY id")
        return self._as_recipes(rows)

    def recipes_of_user(self) -> tuple[Recipe, ...]:
        """The recipes that the user added while the study ran."""
        query = "SELECT body FROM recipes WHERE added_by = 'user' AND NOT dropped ORDER BY id"
        return self._as_recipes(self._db.rows(query))

    def dropped_recipes(self) -> tuple[Recipe, ...]:
        """The recipes that the user dropped."""
        rows = self._db.rows("SELECT body FROM recipes WHERE dropped ORDER BY id")
        return self._as_recipes(rows)

    def _as_recipes(self, rows: Iterable[tuple[Any, ...]]) -> tuple[Recipe, ...]:
        with readable(self.path, "a recipe"):
            return tuple(Recipe.from_json(body) for (body,) in rows)

    def drop_recipe(self, recipe: Recipe) -> None:
        """Ask nothing more of a recipe; what it answered stays, what is planned is not open."""
        self._db.run("UPDATE recipes SET dropped = 1 WHERE key = ?", (recipe.key,))

    # -- what is planned, what is done ----------------------------------------------------

    def plan_round(self, asks: Iterable[tuple[int, int, int]]) -> int:
        """Plan the next round of (recipe, problem, sample); returns its number."""
        with self._db.transaction():
            number = self.last_round() + 1
            self._db.run_many(
                "INSERT OR IGNORE INTO asks (recipe, problem, sample, round) VALUES (?, ?, ?, ?)",
                [(_id(recipe), _id(problem), sample, number) for recipe, problem, sample in asks],
            )
        return number

    def last_round(self) -> int:
        """The number of the latest planned round; 0 when none is."""
        return self._db.number("SELECT COALESCE(MAX(round), 0) FROM asks")

    def most_rounds(self) -> int:
        """How many rounds there can be: each has planned something."""
        return self._db.number("SELECT MAX(1, COUNT(*)) FROM asks")

    def open_asks(self) -> list[PlannedAsk]:
        """What is planned and not yet stored, oldest round first."""
        query = """SELECT a.recipe - 1, a.problem - 1, a.sample, a.round FROM asks a
                   JOIN recipes ON recipes.id = a.recipe AND NOT recipes.dropped
                   LEFT JOIN rollouts r USING (recipe, problem, sample)
                   WHERE r.id IS NULL ORDER BY a.round, a.problem, a.sample, a.recipe"""
        return [PlannedAsk(*row) for row in self._db.rows(query)]

    def transaction(self) -> AbstractContextManager[None]:
        """All that is written inside is kept, or nothing of it."""
        return self._db.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read inside belongs to one moment."""
        return self._db.snapshot()

    def incomplete_rounds(self) -> list[tuple[int, int]]:
        """The (recipe, round) of which something is planned and not stored.

        Only the last two rounds are looked at, since a round is planned when all but one are
        complete; and all rounds of dropped recipes, which stay as they were left.
        """
        looked_at = """SELECT recipe, problem, sample, round FROM asks
                       WHERE round >= (SELECT MAX(round) - 1 FROM asks)
                       UNION ALL SELECT recipe, problem, sample, round FROM asks
                       WHERE recipe IN (SELECT id FROM recipes WHERE dropped)"""
        query = f"""SELECT DISTINCT a.recipe - 1, a.round FROM ({looked_at}) a
                    LEFT JOIN rollouts r USING (recipe, problem, sample) WHERE r.id IS NULL"""
        return [(recipe, number) for recipe, number in self._db.rows(query)]

    def in_first_round(self) -> bool:
        """Whether the first round is not complete, but for dropped recipes.

        The λ whose responses are long are the last to have complete rounds, so that until then
        nothing is known of them.
        """
        query = """SELECT EXISTS (
                       SELECT 1 FROM asks a
                       JOIN recipes ON recipes.id = a.recipe AND NOT recipes.dropped
                       LEFT JOIN rollouts r USING (recipe, problem, sample)
                       WHERE a.round = 1 AND r.id IS NULL)"""
        return bool(self._db.number(query))

    def add_rollouts(self, rollouts: Sequence[Rollout]) -> None:
        """Keep scored rollouts; one that is there already is left as it is."""
        now = time.time()
        with self._db.transaction():
            for r in rollouts:
                a = r.ask
                cursor = self._db.run(
                    """INSERT OR IGNORE INTO rollouts (recipe, problem, sample, round, seed, score,
                           tokens, think_tokens, thinking, truncated, answer, failure, seconds,
                           finished)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                    (_id(a.recipe), _id(a.problem), a.sample, a.round, r.seed, r.score, r.tokens,
                     r.think_tokens, r.thinking, r.truncated, r.answer, r.failure, r.seconds, now),
                )  # fmt: skip
                if cursor.rowcount:
                    body = zlib.compress(r.text.encode("utf-8", "replace"), 6)
                    self._db.run("INSERT INTO texts VALUES (?, ?)", (cursor.lastrowid, body))

    def totals(self) -> tuple[int, int]:
        """Rollouts stored, and tokens generated for them; packed stretches are not counted anew."""
        query = """WITH parts AS (
                       SELECT rollouts, tokens, last FROM packed UNION ALL
                       SELECT COUNT(*), COALESCE(SUM(tokens), 0), 0 FROM rollouts
                       WHERE id > (SELECT COALESCE(MAX(last), 0) FROM packed))
                   SELECT SUM(rollouts), SUM(tokens) FROM parts"""
        rollouts, tokens = self._db.one(query)
        with readable(self.path, "totals"):
            return count("rollouts", rollouts), count("tokens", tokens)

    def rollout_columns(self, after: int = 0) -> list[tuple[Any, ...]]:
        """The narrow rows with an id above ``after``, in the order of arrival.

        Columns: id, recipe, problem, sample, round, score, tokens, thinking, truncated,
        answer.
        """
        query = """SELECT id, recipe - 1, problem - 1, sample, round, score, tokens, thinking,
                   truncated, answer FROM rollouts WHERE id > ? ORDER BY id"""
        return self._db.rows(query, (after,))

    def packed_rollouts(self, after: int) -> tuple[int, bytes] | None:
        """The packed stretch of rollouts that begins right after an id: its last id and body."""
        query = "SELECT last, body FROM packed WHERE after = ?"
        found = self._db.row(query, (after,))
        return None if found is None else (found[0], found[1])

    def pack_rollouts(self, after: int, last: int, body: bytes) -> None:
        """Keep the rollouts with ids above ``after`` up to ``last`` in one packed piece, too."""
        self._db.run(
            """INSERT OR IGNORE INTO packed
               SELECT ?1, ?2, COUNT(*), COALESCE(SUM(tokens), 0), ?3
               FROM rollouts WHERE id > ?1 AND id <= ?2""",
            (after, last, body),
        )

    def responses(
        self, *, recipe: int | None = None, problem: int | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """The latest stored rollouts with their texts, newest first."""
        # Only the conditions that are asked for, so that their index is used.
        wanted = {"recipe": recipe, "problem": problem}
        given = {name: _id(index) for name, index in wanted.items() if index is not None}
        where = " AND ".join(f"r.{name} = :{name}" for name in given) or "1"
        return self._with_texts(f"{where} ORDER BY r.id DESC LIMIT :limit", given, limit)

    def response(self, recipe: int, problem: int, sample: int) -> dict[str, Any] | None:
        """One stored rollout with its text; ``None`` where it is not there."""
        values = {"recipe": _id(recipe), "problem": _id(problem), "sample": sample}
        which = "r.recipe = :recipe AND r.problem = :problem AND r.sample = :sample LIMIT :limit"
        return next(iter(self._with_texts(which, values, 1)), None)

    def rollouts_after(self, after: int, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` rollouts with an id above ``after`` with their texts, oldest first."""
        return self._with_texts("r.id > :after ORDER BY r.id LIMIT :limit", {"after": after}, limit)

    def _with_texts(self, which: str, values: dict[str, int], limit: int) -> list[dict[str, Any]]:
        query = f"""SELECT r.*, r.recipe - 1 AS recipe, r.problem - 1 AS problem, t.body AS body
                    FROM rollouts r JOIN texts t ON t.rollout = r.id WHERE {which}"""
        found = self._db.named_rows(query, {**values, "limit": limit})
        tables = ("recipes", "problems")
        numbers = [self._db.number(f"SELECT COUNT(*) FROM {table}") for table in tables]
        for row in found:
            with readable(self.path, "a response"):
                require_rollout(row, *numbers)
                row["text"] = decompressed(row.pop("body"), LARGEST_TEXT).decode()
        return found

    # -- answers of servers ---------------------------------------------------------------

    def add_answer(self, asked: str, problem: int, sample: int, answer: dict[str, Any]) -> None:
        """Keep what a server answered to a problem, until the confirmation is complete.

        ``asked`` names the server and what was asked of it.
        """
        self._db.run(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
            (asked, _id(problem), sample, zlib.compress(json.dumps(answer).encode())),
        )

    def answers(self, asked: str) -> dict[tuple[int, int], dict[str, Any]]:
        """The answers kept, by problem and sample."""
        query = "SELECT problem - 1, sample, body FROM answers WHERE asked = ?"
        rows = self._db.rows(query, (asked,))
        with readable(self.path, "answers of a server"):
            return {(p, s): json.loads(decompressed(body, LARGEST_TEXT)) for p, s, body in rows}

    def drop_answers(self, asked: str) -> None:
        """Forget the answers: their confirmation is complete."""
        self._db.run("DELETE FROM answers WHERE asked = ?", (asked,))

    # -- requests -------------------------------------------------------------------------

    def leave_request(self, kind: RequestKind, data: dict[str, Any]) -> None:
        """Leave a wish for the worker."""
        self._db.run(
            "INSERT INTO requests (kind, data, created) VALUES (?, ?, ?)",
            (kind, json.dumps(data), time.time()),
        )

    def open_requests(self) -> list[StoredRequest]:
        """The wishes not yet handled, oldest first."""
        query = "SELECT id, kind, data FROM requests WHERE handled IS NULL ORDER BY id"
        rows = self._db.rows(query)
        with readable(self.path, "a request"):
            return [StoredRequest(i, k, json.loads(d)) for i, k, d in rows]

    def pass_over(self, kind: RequestKind) -> None:
        """Mark the open wishes of a kind as handled, without an effect."""
        query = "UPDATE requests SET handled = ? WHERE kind = ? AND handled IS NULL"
        self._db.run(query, (time.time(), kind))

    def handled(self, request: StoredRequest) -> None:
        """Mark a wish as handled."""
        self._db.run("UPDATE requests SET handled = ? WHERE id = ?", (time.time(), request.id))
