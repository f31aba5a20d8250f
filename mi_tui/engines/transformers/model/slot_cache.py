"""The base of key/value caches whose slots are sequences of different lengths in one batch.

Sequence ``r`` of the batch owns slot ``r``. How its keys and values are stored is the subclass's.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from mi_tui.engines.transformers.model.length_blocks import Lengths


class SlotCache(Cache, ABC):
    """Keys and values of up to ``sequences`` sequences, in storage of whatever kind.

    ``ends`` (int64, ``[batch]``, host) are the tokens that each sequence of the pass may reach,
    prompt and cap together. Before each forward pass say with :meth:`begin_prefill` or
    :meth:`begin_decode` which sequences it is about.
    """

    in_pages = False
    """Whether each sequence holds pages of storage that all share."""

    def __init__(self, sequences: int) -> None:
        super().__init__(layers=[])
        self._capacity = sequences
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._sequences = torch.empty(0, dtype=torch.long)
        self._positions = torch.empty(0, dtype=torch.long)
        self._view = 0
        self._prefill = True
        self.ends = np.zeros(0, dtype=np.int64)
        self._biases: dict[tuple[int | None, int | None, torch.dtype, torch.device], Tensor] = {}

    @property
    def is_prefill(self) -> bool:
        """Whether the pass under way reads newcomers' prompts."""
        return self._prefill

    @abstractmethod
    def begin_prefill(
        self,
        sequences: Tensor,
        length: int,
        end: int | None = None,
        lengths: Lengths | None = None,
    ) -> None:
        """The next pass writes positions 0 to ``length`` − 1 of these sequences (int64, [m]).

        ``end`` is the length at which the longest of them will have reached its cap; ``lengths``
        (shape [m], by default all ``length``) are their own, where shorter ones are padded.

        Raises:
            MemoryError: there is no room for so long sequences.
        """

    @abstractmethod
    def begin_decode(
        self, sequences: Tensor, positions: Tensor, lengths: Lengths, end: int | None = None
    ) -> None:
        """The next pass writes one token per sequence.

        Args:
            sequences: 0, 1, …, n − 1 (int64, shape [n]): the sequences alive are always the first
                ones.
            positions: where each sequence's token goes (int64, shape [n]).
            lengths: the same plus one (int64, shape [n], known to the host).
            end: the length at which the longest of them will have reached its cap.

        Raises:
            MemoryError: there is no room for so long sequences.
        """

    @abstractmethod
    def replace(self, origins: list[int], targets: list[int], length: int) -> None:
        """Let sequences ``origins``, up to ``length`` tokens long, take the places ``targets``.

        No sequence may be both.
        """

    @abstractmethod
    def free(self, sequences: Iterable[int]) -> None:
        """Nobody needs any more what these sequences hold."""

    @abstractmethod
    def resize(self, sequences: int, length: int = 0) -> None:
        """Keep the first ``sequences`` sequences, or make room for as many.

        Args:
            sequences: how many.
            length: tokens of the longest that is kept; by default all that is stored.

        Raises:
            MemoryError: more sequences than now do not fit; those there are stay as they are.
            torch.OutOfMemoryError: likewise.
        """

    @abstractmethod
    def emptied(self, sequences: int) -> "SlotCache":
        """A cache of the same kind for so many sequences, without storage."""

    def sequences_that_fit(self, length: int) -> int | None:
        """How many sequences of so many tokens there is room for, beside what else is in memory.

        ``None`` where that is not known, or not by their number.
        """
        del length
        return None

    def can_join(self, lengths: Lengths, newcomers: Lengths) -> int:
        """How many of some newcomers there is memory for, in their order, as far as is known.

        Args:
            lengths: tokens of the sequences that are there.
            newcomers: tokens that each newcomer is to read.
        """
        del lengths
        return len(newcomers)

    def too_many(self, lengths: Lengths) -> int:
        """How many pages memory lacks for sequences of so many tokens; 0 where none is missing."""
        del lengths
        return 0

    def bias(
        self, window: int | None, like: Tensor, length: int, chunk: int | None = None
    ) -> Tensor:
        """What is added to the scores: 0 where a token may be attended to, else −∞.

        Shape ``[1, 1, length, length]`` in a prefill and ``[batch, 1, 1, length]`` in a decode
        pass; dtype and device of ``like``. Made once per pass, window and chunk: a token looks
        back ``window`` tokens, itself included, and not beyond the chunk that it is in.
        """
        key = (window, chunk, like.dtype, like.device)
        if key not in self._biases:
            at = torch.arange(length, device=like.device)
            if self._prefill:
                now = at[:, None]
            else:
                now = self._positions.to(like.device)[:, None, None, None]
            allowed = at <= now
            if window is not None:
                allowed &= at > now - window
            if chunk is not None:
                allowed &= at >= now - now % chunk
            zero = torch.zeros((), dtype=like.dtype, device=like.device)
            bias = torch.where(allowed, zero, torch.full_like(zero, -torch.inf))
            self._biases[key] = bias[None, None] if self._prefill else bias
        return self._biases[key]

    def forget_biases(self) -> None:
        """Compute masks anew in the next pass, as after :meth:`begin_decode`."""
        self._biases.clear()

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The longest sequence so far."""
        del layer_idx
        return self._view

    @property
    def bytes_per_token(self) -> int:
        """Bytes of storage per token of a sequence; 0 before the first use."""
        return sum(self._per_token().values())

    @abstractmethod
    def _per_token(self) -> dict[torch.device, int]:
        """Bytes of storage per token of a sequence on each device."""

    def _held(self, device: torch.device) -> int:
        stored = (*self._keys.values(), *self._values.values())
        return sum(t.nbytes for t in stored if t.device == device)
