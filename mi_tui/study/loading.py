"""Stored rollouts as columns, read once and then only what is new."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_tui.study.observations import Observations, ProblemRow
from mi_tui.study.store import Store

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


class ObservationLoader:
    """Keeps a study's rollouts as arrays and appends what other processes have stored since."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last = 0
        self._problems: tuple[ProblemRow, ...] = ()
        self._answers: dict[tuple[int, str], int] = {}
        self._columns: dict[str, NDArray[Any]] = {
            name: np.empty(0, dtype) for name, dtype in _COLUMNS.items()
        }

    def load(self, up_to_round: int | None = None) -> Observations:
        """All stored rollouts, or those of the rounds up to and including one."""
        found = self._all()
        if up_to_round is None:
            return found
        return found.where(self._columns["round"] <= up_to_round)

    def load_after(self, a_round: int) -> Observations:
        """The stored rollouts of the rounds after one."""
        found = self._all()
        return found.where(self._columns["round"] > a_round)

    def _all(self) -> Observations:
        self._append(self._store.rollout_columns(self._last))
        if not self._problems:
            self._problems = self._store.problem_rows()
        columns = {name: self._columns[name] for name in _COLUMNS if name != "round"}
        return Observations(self._store.recipes(), self._problems, **columns)

    def _append(self, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        self._last = rows[-1][0]
        fresh = dict(zip(_COLUMNS, list(zip(*rows, strict=True))[1:], strict=True))
        fresh["answer"] = tuple(
            -1 if answer is None else self._answer_number(problem, answer)
            for problem, answer in zip(fresh["problem"], fresh["answer"], strict=True)
        )
        for name, dtype in _COLUMNS.items():
            values: NDArray[Any] = np.asarray(fresh[name], dtype=dtype)
            if name in ("recipe", "problem"):
                values = values - 1  # ids count from 1, indices from 0
            self._columns[name] = np.concatenate([self._columns[name], values])

    def _answer_number(self, problem: int, answer: str) -> int:
        return self._answers.setdefault((problem, answer), len(self._answers))
