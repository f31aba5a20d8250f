"""The decoding loop: prefill, decode steps, and sequences that join and leave the batch."""

from collections import abc
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from mi_tui.engines.transformers.decoding.sequence import Finished, Sequence
from mi_tui.engines.transformers.decoding.sequence_batch import SequenceBatch
from mi_tui.engines.transformers.devices.memory import is_out_of_memory
from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.model.length_blocks import sort_into_blocks
from mi_tui.engines.transformers.model.paged_cache import slots_for
from mi_tui.engines.transformers.model.sampler import draw_tokens

_SORT_EVERY = 32
"""Steps between two sortings: each copies what attention then need not read at every step."""

_FULL_FOR = 64
"""Steps after which a batch whose memory was full is asked again, if nobody has left by then."""


class Decoder(SequenceBatch):
    """Generates for many sequences at once; live sequences are always the first ones."""

    def __init__(
        self, weights: Weights, *, capacity: int, end_tokens: Iterable[int], device: torch.device
    ) -> None:
        super().__init__(weights, capacity=capacity, end_tokens=end_tokens, device=device)
        self._cache = slots_for(capacity, in_pages=weights.in_pages)
        self._numbers = torch.arange(capacity, device=device)
        self._steps = 0
        self._full_until = 0

    @property
    def room(self) -> int:
        """How many sequences may join; none for a while after memory did not allow the next one."""
        full = bool(self.sequences) and self._steps < self._full_until
        return 0 if full else self.capacity - len(self.sequences)

    @property
    def in_pages(self) -> bool:
        """Whether sequences hold pages of the cache's storage."""
        return self._cache.in_pages

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of cache per token of a sequence; 0 before the first prefill."""
        return self._cache.bytes_per_token

    @property
    def lengths(self) -> list[int]:
        """The length of each live sequence in tokens, prompt included."""
        lengths: list[int] = self._state.lengths[: len(self.sequences)].tolist()
        return lengths

    @torch.inference_mode()
    def admit(self, sequences: abc.Sequence[Sequence]) -> None:
        """Read the prompts of newcomers together and draw the first token of each.

        At most :attr:`room` sequences. When it raises (out of memory), nobody has joined.
        """
        first, count = len(self.sequences), len(sequences)
        contexts = [sequence.context for sequence in sequences]
        width = max(map(len, contexts))
        padded = np.zeros((count, width), dtype=np.int64)
        for line, context in zip(padded, contexts, strict=True):
            line[: len(context)] = context
        self._weights.prepare([sequence.recipe for sequence in sequences])
        self._prepared = False
        self._state.write(first, sequences)
        self._cache.ends = self._state.ends[first : first + count]
        end = max(sequence.end for sequence in sequences)
        lengths = self._state.lengths[first : first + count]
        numbers = self._numbers[first : first + count]
        try:
            self._cache.begin_prefill(numbers, width, end, lengths)
            tokens = torch.from_numpy(padded).to(self._device)
            positions = torch.arange(width, device=self._device).expand(count, -1)
            last = self._state.positions(first + count)[first:] - 1
            logits = self._logits(tokens, positions, last)
            self._state.append(first, draw_tokens(logits, self._state.draw(first, count)))
        except BaseException:
            self._cache.free(range(first, first + count))
            raise
        for sequence in sequences:
            sequence.join()
        self.sequences.extend(sequences)

    @torch.inference_mode()
    def step(self) -> None:
        """Draw one more token for every live sequence."""
        count = len(self.sequences)
        self._steps += 1
        if self._steps % _SORT_EVERY == 0 and isinstance(self._cache, KVCache):
            self._sort(self._cache)
        self._prepare()
        positions = self._state.positions(count)
        lengths = self._state.lengths[:count] + 1
        self._cache.ends = self._state.ends[:count]
        end = int(self._state.ends[:count].max())
        self._cache.begin_decode(self._numbers[:count], positions, lengths, end)
        logits = self._logits(self._state.last_tokens(count)[:, None], positions[:, None], None)
        self._state.draw_next(count, logits)
        self._state.advance(count)

    @torch.inference_mode()
    def pretend_context(self, tokens: int) -> None:
        """Lengthen every live sequence's context by so many empty tokens, for timing."""
        self._state.skip(len(self.sequences), tokens)

    @torch.inference_mode()
    def collect(self) -> list[Finished]:
        """Take out the sequences that have reached their end token or their cap."""
        return self._take_finished(len(self.sequences))

    def can_join(self, newcomers: abc.Sequence[Sequence]) -> int:
        """How many of these sequences there is memory for, in their order; one in an empty batch.

        Where it is not for all, the batch is full until a sequence leaves, or for some steps.
        """
        lengths = np.array([sequence.length for sequence in newcomers], dtype=np.int64)
        live = self._state.lengths[: len(self.sequences)]
        count = max(self._cache.can_join(live, lengths), 0 if self.sequences else 1)
        if count < len(newcomers):
            self._full_until = self._steps + _FULL_FOR
        return count

    @torch.inference_mode()
    def give_way(self) -> list[Sequence]:
        """Take out the sequences with the fewest tokens until there are pages for the others.

        Nobody is taken out where no page is missing, and the last one never.
        """
        lengths = self._state.lengths[: len(self.sequences)] + 1
        leaving: set[int] = set()
        staying = np.argsort(-lengths, kind="stable")
        while len(staying) > 1 and self._cache.too_many(lengths[staying]):
            leaving.add(id(self.sequences[staying[-1]]))
            staying = staying[:-1]
        return self.release(lambda sequence: id(sequence) in leaving)

    def sequences_that_fit(self, length: int = 0, *, ahead: bool = False) -> int | None:
        """How many sequences memory has room for, all as long as the longest; ``None``: not known.

        Args:
            length: of a sequence that is to join, in tokens.
            ahead: whether the live sequences are to have room to grow by half, or to their caps.
        """
        count = len(self.sequences)
        lengths = self._state.lengths[:count] + 1
        if ahead:
            lengths = np.maximum(lengths, np.minimum(lengths * 3 // 2, self._state.ends[:count]))
        longest = max(length, int(lengths.max(initial=0)))
        return self._cache.sequences_that_fit(longest) if longest else None

    @torch.inference_mode()
    def resize(self, capacity: int) -> list[Sequence]:
        """Change the capacity; sequences there is no room for come back, with their tokens so far.

        Those with the fewest tokens do, since they have least to read again. All sequences do where
        their cache is lost: the last change of places has failed, or memory does not even suffice
        for moving to a smaller cache.

        Raises:
            MemoryError: a larger cache does not fit; everything is as before.
            torch.OutOfMemoryError: likewise.
        """
        growing = capacity > self.capacity
        longest_first = np.argsort(-self._state.lengths[: len(self.sequences)], kind="stable")
        kept = 0 if self._torn else capacity
        surplus = {id(self.sequences[at]) for at in longest_first[kept:].tolist()}
        self._torn = False
        released = self.release(lambda sequence: id(sequence) in surplus)
        if self.sequences:
            try:
                self._cache.resize(capacity, self._longest(list(range(len(self.sequences)))))
            except Exception as error:
                if growing or not is_out_of_memory(error):
                    raise
                released += self.release(lambda _: True)
        if not self.sequences:
            self._cache = self._cache.emptied(capacity)
        self._state.resize(capacity)
        self._numbers = torch.arange(capacity, device=self._device)
        return released

    def _logits(self, tokens: Tensor, positions: Tensor, last: Tensor | None) -> Tensor:
        """Logits ``[batch, vocabulary]`` of each sequence's last token, at ``last`` where given."""
        return self._weights.forward(tokens, positions, self._cache, last).to(self._device)

    def _remove(self, gone: abc.Sequence[int]) -> None:
        """Let the last live sequences take the places of those that leave."""
        if not gone:
            return
        self._cache.free(gone)
        self._full_until = 0
        left = len(self.sequences) - len(gone)
        holes = [at for at in gone if at < left]
        leaving = set(gone)
        movers = [at for at in range(left, len(self.sequences)) if at not in leaving]
        if movers:
            self._cache.replace(movers, holes, self._longest(movers))
            self._follow(movers, holes)
        del self.sequences[left:]
        self._prepared = False

    def _sort(self, cache: KVCache) -> None:
        """Bring sequences of about the same length together: see ``model.length_blocks``."""
        origins, targets = sort_into_blocks(self._state.lengths[: len(self.sequences)])
        if not origins:
            return
        self._torn = True
        cache.permute(origins, targets, self._longest(origins))
        self._torn = False
        self._follow(origins, targets)
        self._prepared = False

    def _longest(self, sequences: list[int]) -> int:
        return int(self._state.lengths[sequences].max())

    def _follow(self, origins: list[int], targets: list[int]) -> None:
        """Let all else that belongs to the sequences follow their keys and values."""
        self._state.move(origins, targets)
        moved = [self.sequences[at] for at in origins]
        for target, sequence in zip(targets, moved, strict=True):
            self.sequences[target] = sequence
