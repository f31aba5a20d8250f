"""The rows that wait to join the batch, in the order they came."""

from collections import Counter, deque
from collections.abc import Callable, Iterable

from mi_tui.engines.row import Row

_PROMPT_TOKENS = 8192
"""How many prompt tokens, padding included, are read in one pass: bounds its memory."""


class WaitingRows:
    """A queue of which a part may be taken: the rows of one recipe, or any."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque()

    def __len__(self) -> int:
        return len(self._rows)

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
    def next_recipe(self) -> int | None:
        """The recipe of the row that has waited longest."""
        return self._rows[0].recipe if self._rows else None

    def counts(self) -> Counter[int]:
        """How many rows wait, by recipe."""
        return Counter(row.recipe for row in self._rows)

    def count(self, recipe: int | None) -> int:
        """How many rows wait for this recipe (``None``: for any)."""
        if recipe is None:
            return len(self._rows)
        return sum(row.recipe == recipe for row in self._rows)

    def take(self, most: int, recipe: int | None) -> list[Row]:
        """Take up to ``most`` rows of this recipe (``None``: of any) that are read in one pass."""
        taken: list[Row] = []
        left: deque[Row] = deque()
        width = 0
        while self._rows and len(taken) < most:
            row = self._rows.popleft()
            if recipe is not None and row.recipe != recipe:
                left.append(row)
                continue
            wider = max(width, len(row.request.prompt) + len(row.tokens))
            if taken and wider * (len(taken) + 1) > _PROMPT_TOKENS:
                left.append(row)
                break
            width = wider
            taken.append(row)
        self._rows.extendleft(reversed(left))
        return taken
