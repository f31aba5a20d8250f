"""Static batching: sequences that start together and share transformers' own generation cache.

The sequences of a batch are always of one length, so that nothing is padded or masked and no
response depends on its neighbours. Where prompts differ in length, the batch reads as many tokens
as the shortest has; from then on each step reads one more of the longer prompts while the shorter
ones already generate.
"""

from collections import abc
from collections.abc import Iterable

import torch

from mi_tui.engines.transformers.decoding.sequence import Finished, Sequence
from mi_tui.engines.transformers.decoding.sequence_batch import SequenceBatch
from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.engines.transformers.model.generation_cache import GenerationCache
from mi_tui.engines.transformers.model.sampler import draw_tokens


class StaticBatchDecoder(SequenceBatch):
    """Generates for up to ``capacity`` sequences; others join when all of them have finished.

    Sequences are kept by the length of their contexts, so that those that generate are always
    the first ones. It is used as :class:`~mi_tui.engines.transformers.decoding.decoder.Decoder` is.
    """

    def __init__(
        self, weights: Weights, *, capacity: int, end_tokens: Iterable[int], device: torch.device
    ) -> None:
        super().__init__(weights, capacity=capacity, end_tokens=end_tokens, device=device)
        self._cache: GenerationCache | None = None
        self._contexts = torch.empty((0, 0), dtype=torch.long, device=device)
        self._lengths: list[int] = []

    @property
    def room(self) -> int:
        """How many sequences may join: none until the batch is empty."""
        return 0 if self.sequences else self.capacity

    @property
    def lengths(self) -> list[int]:
        """The length of each live sequence in tokens, prompt included."""
        length = self._cache.length if self._cache is not None else 0
        return [length] * len(self.sequences)

    @torch.inference_mode()
    def admit(self, sequences: abc.Sequence[Sequence]) -> None:
        """Begin with these sequences; when it raises (out of memory), nobody has joined."""
        ordered = sorted(sequences, key=lambda sequence: sequence.length)
        lengths = [sequence.length for sequence in ordered]
        contexts = torch.zeros((len(ordered), lengths[-1]), dtype=torch.long)
        for row, sequence in zip(contexts, ordered, strict=True):
            row[: sequence.length] = torch.tensor(sequence.context)
        self._weights.prepare([sequence.recipe for sequence in ordered])
        self._prepared = True
        self._state.write(0, ordered)
        self._contexts, self._lengths = contexts.to(self._device), lengths
        self._cache = GenerationCache(self._weights.model)
        self._read(self._cache, self._contexts[:, : lengths[0]])
        for sequence in ordered:
            sequence.join()
        self.sequences = ordered

    @torch.inference_mode()
    def step(self) -> None:
        """Draw one more token for every sequence whose context has been read."""
        assert self._cache is not None
        self._prepare()
        tokens = self._state.last_tokens(len(self.sequences)).clone()
        generating, at = self._generating(self._cache.length), self._cache.length
        if generating < len(tokens):
            tokens[generating:] = self._contexts[generating:, at]
        self._read(self._cache, tokens[:, None])

    @torch.inference_mode()
    def pretend_context(self, tokens: int) -> None:
        """Lengthen every live sequence's context by so many empty tokens, for timing."""
        assert self._cache is not None
        self._cache.pretend(tokens)

    @torch.inference_mode()
    def collect(self) -> list[Finished]:
        """Take out the sequences that have reached their end token or their cap."""
        if self._cache is None or not self.sequences:
            return []
        return self._take_finished(self._generating(self._cache.length))

    def can_join(self, newcomers: abc.Sequence[Sequence]) -> int:
        """How many of these sequences there is memory for: not known, so all."""
        return len(newcomers)

    def give_way(self) -> list[Sequence]:
        """Nobody does for want of pages: there are none."""
        return []

    def sequences_that_fit(self, length: int = 0, *, ahead: bool = False) -> int | None:
        """Not known: transformers' own cache grows as it sees fit."""
        del length, ahead
        return None

    @torch.inference_mode()
    def resize(self, capacity: int) -> list[Sequence]:
        """Change the capacity; sequences there is no room for come back, with their tokens so far.

        All sequences do when the last pass has failed: their cache is torn.
        """
        surplus = {id(sequence) for sequence in self.sequences[0 if self._torn else capacity :]}
        if self._torn:
            self._cache = None
        self._torn = False
        released = self.release(lambda sequence: id(sequence) in surplus)
        self._state.resize(capacity)
        return released

    def _generating(self, length: int) -> int:
        """How many sequences have no context left to read."""
        return sum(context <= length for context in self._lengths)

    def _read(self, cache: GenerationCache, tokens: torch.Tensor) -> None:
        """Read tokens and draw the next one of each sequence that generates."""
        self._torn = True
        logits = cache.read(tokens).to(self._device)
        count = self._generating(cache.length)
        if count:
            self._state.append(0, draw_tokens(logits[:count], self._state.draw(0, count)))
        self._torn = False

    def _remove(self, gone: abc.Sequence[int]) -> None:
        if not gone:
            return
        leaving = set(gone)
        kept = [at for at in range(len(self.sequences)) if at not in leaving]
        self.sequences = [self.sequences[at] for at in kept]
        self._lengths = [self._lengths[at] for at in kept]
        self._prepared = False
        if not kept:
            self._cache = None
            return
        self._state.move(kept, list(range(len(kept))))
        rows = torch.tensor(kept, device=self._device)
        self._contexts = self._contexts[rows]
        if self._cache is not None:
            self._cache.keep(rows)
