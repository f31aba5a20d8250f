"""The queue of sequences that wait to join the batch, in the order they came."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from mi_tui.engines.transformers.decoding.sequence import Sequence

_PROMPT_TOKENS = 8192
"""How many prompt tokens, padding included, are read in one pass: bounds its memory."""


class RequestQueue:
    """A queue of which a part may be taken: the sequences of one recipe, or any."""

    def __init__(self) -> None:
        self._sequences: deque[Sequence] = deque()

    def __len__(self) -> int:
        return len(self._sequences)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self._sequences)

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences at the end."""
        self._sequences.extend(sequences)

    def put_back(self, sequences: Iterable[Sequence]) -> None:
        """Queue sequences that had to leave the batch at the front, in their order."""
        self._sequences.extendleft(reversed(list(sequences)))

    def drop(self, leaves: Callable[[Sequence], bool]) -> None:
        """Forget the sequences for which ``leaves`` is true."""
        self._sequences = deque(sequence for sequence in self._sequences if not leaves(sequence))

    @property
    def first(self) -> Sequence | None:
        """The sequence that has waited longest; parked sequences come after all others."""
        return next(
            (sequence for sequence in self._sequences if not sequence.parked),
            next(iter(self._sequences), None),
        )

    @property
    def has_fresh(self) -> bool:
        """Whether a sequence waits that is not parked."""
        return any(not sequence.parked for sequence in self._sequences)

    def count(self, fits: Callable[[Sequence], bool]) -> int:
        """How many sequences wait for which ``fits`` is true."""
        return sum(map(fits, self._sequences))

    def take(self, most: int, fits: Callable[[Sequence], bool]) -> list[Sequence]:
        """Take up to ``most`` sequences that ``fits`` accepts and one prefill can read."""
        taken: list[Sequence] = []
        passed: list[Sequence] = []
        width = 0
        while self._sequences and len(taken) < most:
            sequence = self._sequences.popleft()
            wider = max(width, sequence.length)
            full = bool(taken) and wider * (len(taken) + 1) > _PROMPT_TOKENS
            if full or not fits(sequence):
                passed.append(sequence)
                if full:
                    break
                continue
            width = wider
            taken.append(sequence)
        self._sequences.extendleft(reversed(passed))
        return taken
