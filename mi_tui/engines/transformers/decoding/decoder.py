"""The decoding loop: a batch of rows that come and go, one token each per step."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from mi_tui.engines.transformers.decoding.batch_state import RowState
from mi_tui.engines.transformers.decoding.sequence import Finished, Row
from mi_tui.engines.transformers.decoding.weights import Weights
from mi_tui.engines.transformers.model.kv_cache import SlotCache
from mi_tui.engines.transformers.model.length_blocks import arrange
from mi_tui.engines.transformers.model.sampler import draw_tokens

_SORT_EVERY = 32
"""Steps between two sortings: each copies what attention then need not read at every step."""


class SlotDecoder:
    """Generates for up to ``capacity`` rows at once; live rows are always the first ones.

    ``weights`` may be exchanged between steps: the cache does not depend on how the same weights
    are computed.
    """

    def __init__(
        self, weights: Weights, *, capacity: int, end_tokens: Iterable[int], device: torch.device
    ) -> None:
        self.rows: list[Row] = []
        self._weights = weights
        self._device = device
        self._end = torch.tensor(sorted(end_tokens), dtype=torch.long, device=device)
        self._cache = SlotCache(capacity)
        self._state = RowState(capacity, device)
        self._numbers = torch.arange(capacity, device=device)
        self._prepared = False
        self._torn = False
        self._steps = 0

    @property
    def weights(self) -> Weights:
        """What computes the logits."""
        return self._weights

    @weights.setter
    def weights(self, weights: Weights) -> None:
        self._weights = weights
        self._prepared = False

    @property
    def capacity(self) -> int:
        """How many rows there is room for."""
        return self._state.rows

    @property
    def room(self) -> int:
        """How many rows may join."""
        return self.capacity - len(self.rows)

    @property
    def cache_bytes_per_token(self) -> int:
        """What one token of one row takes in the cache, in bytes; 0 before the first prefill."""
        return self._cache.bytes_per_token

    @property
    def lengths(self) -> list[int]:
        """The length of each live row in tokens, prompt included."""
        lengths: list[int] = self._state.lengths[: len(self.rows)].tolist()
        return lengths

    @torch.inference_mode()
    def admit(self, rows: Sequence[Row]) -> None:
        """Read the prompts of newcomers together and draw the first token of each.

        At most :attr:`room` rows. When it raises (out of memory), nobody has joined.
        """
        first, count = len(self.rows), len(rows)
        contexts = [row.context for row in rows]
        width = max(map(len, contexts))
        padded = np.zeros((count, width), dtype=np.int64)
        for line, context in zip(padded, contexts, strict=True):
            line[: len(context)] = context
        self._weights.prepare([row.recipe for row in rows])
        self._prepared = False
        self._state.write(first, rows)
        self._cache.begin_prefill(self._numbers[first : first + count], width)
        tokens = torch.from_numpy(padded).to(self._device)
        positions = torch.arange(width, device=self._device).expand(count, -1)
        logits = self._logits(tokens, positions, self._state.positions(first + count)[first:] - 1)
        self._state.append(first, draw_tokens(logits, self._state.draw(first, count)))
        for row in rows:
            row.join()
        self.rows.extend(rows)

    @torch.inference_mode()
    def step(self) -> None:
        """Draw one more token for every live row."""
        count = len(self.rows)
        self._steps += 1
        if self._steps % _SORT_EVERY == 0:
            self._sort()
        if not self._prepared:
            self._weights.prepare([row.recipe for row in self.rows])
            self._prepared = True
        positions = self._state.positions(count)
        lengths = self._state.lengths[:count] + 1
        self._cache.begin_decode(self._numbers[:count], positions, lengths)
        logits = self._logits(self._state.last_tokens(count)[:, None], positions[:, None], None)
        self._state.append(0, draw_tokens(logits, self._state.draw(0, count)))
        self._state.advance(count)

    @torch.inference_mode()
    def pretend_context(self, tokens: int) -> None:
        """Lengthen every live row's context by so many empty tokens, to time what comes after."""
        self._state.skip(len(self.rows), tokens)

    @torch.inference_mode()
    def collect(self) -> list[Finished]:
        """Take out the rows that have reached their end token or their cap."""
        done, stopped = self._state.done(len(self.rows), self._end)
        finished = [
            Finished(self.rows[at], tuple(tokens), stop, self.rows[at].seconds)
            for at, tokens, stop in zip(done, self._state.output(done), stopped, strict=True)
        ]
        self._remove(done)
        return finished

    @torch.inference_mode()
    def release(self, leaves: Callable[[Row], bool]) -> list[Row]:
        """Take out the rows for which ``leaves`` is true; they keep their tokens so far."""
        out = [at for at, row in enumerate(self.rows) if leaves(row)]
        released = [self.rows[at] for at in out]
        for row, tokens in zip(released, self._state.output(out), strict=True):
            row.tokens = tokens
        self._remove(out)
        return released

    @torch.inference_mode()
    def resize(self, capacity: int) -> list[Row]:
        """Change the capacity; rows there is no room for come back, with their tokens so far.

        All rows do when the last change of places has failed: their cache is torn.
        """
        surplus = {id(row) for row in self.rows[0 if self._torn else capacity :]}
        self._torn = False
        released = self.release(lambda row: id(row) in surplus)
        self._state.resize(capacity)
        self._numbers = torch.arange(capacity, device=self._device)
        if self.rows:
            self._cache.resize(capacity)
        else:
            self._cache = SlotCache(capacity)
        return released

    def _logits(self, tokens: Tensor, positions: Tensor, last: Tensor | None) -> Tensor:
        """Logits ``[rows, vocabulary]`` of each row's last token, at ``last`` where given."""
        return self._weights.forward(tokens, positions, self._cache, last).to(self._device)

    def _remove(self, gone: Sequence[int]) -> None:
        """Let the last live rows take the places of those that leave."""
        if not gone:
            return
        left = len(self.rows) - len(gone)
        holes = [at for at in gone if at < left]
        leaving = set(gone)
        movers = [at for at in range(left, len(self.rows)) if at not in leaving]
        if movers:
            self._cache.replace(movers, holes, self._longest(movers))
            self._follow(movers, holes)
        del self.rows[left:]
        self._prepared = False

    def _sort(self) -> None:
        """Bring rows of about the same length together: see ``model.length_blocks``."""
        sources, targets = arrange(self._state.lengths[: len(self.rows)])
        if not sources:
            return
        self._torn = True
        self._cache.permute(sources, targets, self._longest(sources))
        self._torn = False
        self._follow(sources, targets)
        self._prepared = False

    def _longest(self, rows: list[int]) -> int:
        return int(self._state.lengths[rows].max())

    def _follow(self, sources: list[int], targets: list[int]) -> None:
        """Let all else that belongs to the rows follow their keys and values."""
        self._state.move(sources, targets)
        moved = [self.rows[at] for at in sources]
        for target, row in zip(targets, moved, strict=True):
            self.rows[target] = row
