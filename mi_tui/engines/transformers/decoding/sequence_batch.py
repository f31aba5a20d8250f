"""The base of all decoders: sequences that join a batch, finish, and are taken out."""

from abc import ABC, abstractmethod
from collections import abc
from collections.abc import Callable, Iterable

import torch

from mi_tui.engines.transformers.decoding.batch_state import BatchState
from mi_tui.engines.transformers.decoding.sequence import Finished, Sequence
from mi_tui.engines.transformers.model.forward import Weights


class SequenceBatch(ABC):
    """Up to ``capacity`` live sequences, and the weights that they are decoded with.

    ``weights`` may be exchanged between steps: a cache does not depend on how the same weights are
    computed.
    """

    def __init__(
        self, weights: Weights, *, capacity: int, end_tokens: Iterable[int], device: torch.device
    ) -> None:
        self.sequences: list[Sequence] = []
        self._weights = weights
        self._device = device
        self._state = BatchState(capacity, device, end_tokens)
        self._prepared = False
        self._torn = False

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
        """How many sequences there is room for."""
        return self._state.sequences

    @torch.inference_mode()
    def release(self, leaves: Callable[[Sequence], bool]) -> list[Sequence]:
        """Take out the sequences for which ``leaves`` is true; they keep their tokens so far."""
        out = [at for at, sequence in enumerate(self.sequences) if leaves(sequence)]
        released = [self.sequences[at] for at in out]
        for sequence, tokens in zip(released, self._state.output(out, ended=False), strict=True):
            sequence.tokens = tokens
        self._remove(out)
        return released

    def _prepare(self) -> None:
        """Tell the weights whose sequences come next, where they do not know."""
        if not self._prepared:
            self._weights.prepare([sequence.recipe for sequence in self.sequences])
            self._prepared = True

    def _take_finished(self, count: int) -> list[Finished]:
        """Take out those of the first ``count`` that have reached their end token or their cap."""
        done, stopped = self._state.done(count)
        finished = [
            Finished(self.sequences[at], tuple(tokens), stop, self.sequences[at].seconds)
            for at, tokens, stop in zip(done, self._state.output(done), stopped, strict=True)
        ]
        self._remove(done)
        return finished

    @abstractmethod
    def _remove(self, gone: abc.Sequence[int]) -> None:
        """Let the sequences at these places leave."""
