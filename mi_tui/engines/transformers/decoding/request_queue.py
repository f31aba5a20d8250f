"""The rows that wait to join the batch, in the order they came."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from mi_tui.engines.transformers.decoding.sequence import Row

_PROMPT_TOKENS = 8192
"""How many prompt tokens, padding included, are read in one pass: bounds its memory."""


class WaitingRows:
    """A queue of which a part may be taken: the rows of one recipe, or any."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Queue rows at the end."""
        self._rows.extend(rows)

    def put_back(self, rows: Iterable[Row]) -> None:
        """Queue rows that had to leave the batch at the front, in their order."""
        self._rows.extendleft(reversed(list(rows)))

    def drop(self, leaves: Callable[[Row], bool]) -> None:
        """Forget the rows for which ``leaves`` is true."""
        self._rows = deque(row for row in self._rows if not leaves(row))

    @property
    def first(self) -> Row | None:
        """The row that has waited longest; parked rows come after all others."""
        return next((row for row in self._rows if not row.parked), next(iter(self._rows), None))

    @property
    def has_fresh(self) -> bool:
        """Whether a row waits that is not parked."""
        return any(not row.parked for row in self._rows)

    def count(self, fits: Callable[[Row], bool]) -> int:
        """How many rows wait for which ``fits`` is true."""
        return sum(map(fits, self._rows))

    def take(self, most: int, fits: Callable[[Row], bool]) -> list[Row]:
        """Take up to ``most`` rows for which ``fits`` is true and that can be read in one pass."""
        taken: list[Row] = []
        passed: list[Row] = []
        width = 0
        while self._rows and len(taken) < most:
            row = self._rows.popleft()
            wider = max(width, row.length)
            full = bool(taken) and wider * (len(taken) + 1) > _PROMPT_TOKENS
            if full or not fits(row):
                passed.append(row)
                if full:
                    break
                continue
            width = wider
            taken.append(row)
        self._rows.extendleft(reversed(passed))
        return taken
