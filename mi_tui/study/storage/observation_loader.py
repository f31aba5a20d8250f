"""The loader of observations: stored rollouts as columns, read incrementally."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations, ProblemRow
from mi_tui.study.storage.errors import readable
from mi_tui.study.storage.packing import Answers, pack, unpack
from mi_tui.study.storage.possible import MOST, OVER_CAP
from mi_tui.study.storage.store import Store

_COLUMNS: dict[str, type] = {
    "recipe": np.int64,
    "problem": np.int64,
    "sample": np.int64,
    "round": np.int64,
    "score": np.float64,
    "tokens": np.int64,
    "thinking": np.bool_,
    "truncated": np.bool_,
    "answer": np.int64,
}

PACK_FROM = 20_000
"""Rollouts that are worth a packed piece: fewer are read from their rows as quickly."""


class ObservationLoader:
    """Keeps a study's rollouts as arrays and appends what other processes have stored since.

    Long stretches come from the store's packed pieces, the rest from the rows. Answers are
    numbered by their first appearance, so that every loader of a study gives equal numbers.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last = 0
        self._count = 0
        self._packed = (0, 0)  # the id and the count up to which pieces are packed
        self._problems: tuple[ProblemRow, ...] = ()
        self._answers: Answers = {}
        self._columns: dict[str, NDArray[Any]] = {
            name: np.empty(0, dtype) for name, dtype in _COLUMNS.items()
        }

    def load(self, up_to_round: int | None = None) -> Observations:
        """All stored rollouts, or those of the rounds up to and including one."""
        found = self._all()
        if up_to_round is None:
            return found
        return found.where(self._column("round") <= up_to_round)

    def load_complete(self) -> tuple[Observations, Observations]:
        """The rollouts of each recipe's complete rounds, and the others.

        In a round that is not complete the short responses come first, so that every length looks
        shorter than it is, and the score is that of what is said briefly.
        """
        with self._store.snapshot():
            found = self._all()
            cells = self._store.incomplete_rounds()
        if not cells:
            return found, found.where(slice(0))
        rounds = self._column("round")
        span = int(max(rounds.max(initial=0), *(number for _, number in cells))) + 1
        numbers = [recipe * span + number for recipe, number in cells]
        begun = np.isin(found.recipe * span + rounds, numbers)
        return found.where(~begun), found.where(begun)

    def load_after(self, a_round: int) -> Observations:
        """The stored rollouts of the rounds after one."""
        found = self._all()
        return found.where(self._column("round") > a_round)

    def pack(self) -> None:
        """Keep what is loaded and not yet packed in one piece, once that is worth it.

        For the worker alone, which is the only writer: every reader that opens the study later
        is spared the rows.
        """
        after, start = self._packed
        if self._count - start < PACK_FROM:
            return
        columns = {name: self._column(name)[start:] for name in _COLUMNS}
        self._store.pack_rollouts(after, self._last, pack(columns, self._answers))
        self._packed = (self._last, self._count)

    def _column(self, name: str) -> NDArray[Any]:
        return self._columns[name][: self._count]

    def _all(self) -> Observations:
        if not self._problems:
            self._problems = self._store.problem_rows()
        while (piece := self._store.packed_rollouts(self._last)) is not None:
            last, body = piece
            with readable(self._store.path, "packed rollouts"):
                if last <= self._last:
                    raise ValueError("a piece that leads nowhere")
                self._append(self._checked(unpack(body, self._answers)))
            self._last = last
            self._packed = (last, self._count)
        rows = self._store.rollout_columns(self._last)
        if rows:
            with readable(self._store.path, "rollouts"):
                self._append(self._checked(self._columns_of(rows)))
            self._last = rows[-1][0]
        columns = {name: self._column(name) for name in _COLUMNS if name != "round"}
        return Observations(self._store.recipes(), self._problems, **columns)

    def _checked(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns in which every index has its problem, and every number can be.

        Raises:
            ValueError: they are others.
        """
        if columns.keys() != _COLUMNS.keys() or len({len(each) for each in columns.values()}) > 1:
            raise ValueError("columns are missing, or of unequal lengths")
        if not len(columns["recipe"]):
            return columns
        recipes, problems = len(self._store.recipes()), len(self._problems)
        bounds = {"recipe": (0, recipes), "problem": (0, problems), "sample": (0, MOST)}
        bounds |= {
            "round": (0, self._store.most_rounds() + 1),
            "tokens": (0, MOST),
            "answer": (-1, len(self._answers)),
        }
        for name, (low, high) in bounds.items():
            least, most = int(columns[name].min()), int(columns[name].max())
            if least < low or most >= high:
                wrong = least if least < low else most
                raise ValueError(f"{name} is out of bounds: {wrong}, not {low} to {high - 1}")
        caps = np.array([problem.cap for problem in self._problems])[columns["problem"]]
        if (beyond := columns["tokens"] > OVER_CAP * caps).any():
            tokens, cap = int(columns["tokens"][beyond][0]), int(caps[beyond][0])
            raise ValueError(f"tokens is {tokens}, beyond the cap of {cap}")
        score = columns["score"]
        # NaN, which no comparison holds for, is a response that was not scored.
        if (outside := (score < 0.0) | (score > 1.0)).any():
            raise ValueError(f"score is {score[outside][0]:g}, not from 0 to 1")
        return columns

    def _columns_of(self, rows: list[tuple[Any, ...]]) -> dict[str, NDArray[Any]]:
        found = dict(zip(_COLUMNS, list(zip(*rows, strict=True))[1:], strict=True))
        answers = [
            -1 if answer is None else self._answer_number(problem, answer)
            for problem, answer in zip(found["problem"], found["answer"], strict=True)
        ]
        columns = {**found, "answer": answers}
        return {name: np.asarray(columns[name], dtype) for name, dtype in _COLUMNS.items()}

    def _append(self, fresh: dict[str, NDArray[Any]]) -> None:
        count = self._count + len(fresh["recipe"])
        for name, dtype in _COLUMNS.items():
            if count > len(self._columns[name]):
                # Half as much again in reserve: what was given out stays as it is.
                grown: NDArray[Any] = np.empty(count + count // 2, dtype)
                grown[: self._count] = self._column(name)
                self._columns[name] = grown
            self._columns[name][self._count : count] = fresh[name]
        self._count = count

    def _answer_number(self, problem: int, answer: str) -> int:
        return self._answers.setdefault((problem, answer), len(self._answers))
