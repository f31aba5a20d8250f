"""Key/value cache in one rectangle per layer: slot ``r`` is row ``r`` of the storage.

A newcomer's prompt is written at positions 0, 1, …; each later token at the sequence's own
position. What lies beyond a sequence's position is never attended to, so nothing has to be cleared
when a sequence leaves.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from mi_tui.engines.transformers.devices.memory import free_bytes, is_out_of_memory
from mi_tui.engines.transformers.model.length_blocks import LengthBlock, Lengths, length_blocks
from mi_tui.engines.transformers.model.slot_cache import SlotCache

_CHUNK = 64
_WORTH_ASKING = 64 << 20
_CALL_BYTES = {"cpu": 256 << 10, "cuda": 64 << 20}
"""Bytes that are read, roughly, in the time that one more call of the attention takes.

Measured for the CPU; for CUDA reckoned from 20 µs of launches at 3 TB/s.
"""

_MOVED_AT_ONCE = 64 << 20
"""Bytes that may be taken for sequences on their way."""

_SHARE = {"cpu": 0.9}
"""The share of free memory that storage may take: a CPU's system kills rather than refuses."""

_KEPT_FREE = 64 << 20
"""Bytes that storage leaves in any case, for a pass over the sequences."""

_SHARE_TO_SPARE = 0.8
"""The share that storage may take where less would do, so that a pass has room as well."""


class KVCache(SlotCache):
    """Keys and values in one rectangle per layer, ``[batch, kv_heads, length, head_dim]``.

    Storage is allocated at a layer's first use, in the dtype and on the device of its keys (so a
    model split over several devices works), and grows in length as needed: by half, but no further
    than the sequences' own ends, and by no more than is needed where memory is short.
    """

    def __init__(self, sequences: int) -> None:
        super().__init__(sequences)
        self._length = 0
        self._blocks: tuple[LengthBlock, ...] = ()

    def begin_prefill(
        self,
        sequences: Tensor,
        length: int,
        end: int | None = None,
        lengths: Lengths | None = None,
    ) -> None:
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        del lengths
        self._prefill = True
        self._sequences = sequences
        self._biases.clear()
        self._reserve(length, end)

    @property
    def blocks(self) -> tuple[LengthBlock, ...]:
        """The sequences of a decode pass in parts, each attended to up to a length of its own."""
        return self._blocks

    def begin_decode(
        self, sequences: Tensor, positions: Tensor, lengths: Lengths, end: int | None = None
    ) -> None:
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        self._prefill = False
        self._sequences, self._positions = sequences, positions
        self._biases.clear()
        longest = int(lengths.max())
        self._reserve(longest, end)
        self._view = self._padded(longest)
        parts = length_blocks(lengths, self._tokens_per_call())
        self._blocks = tuple(replace(part, length=self._padded(part.length)) for part in parts)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Store ``[batch, kv_heads, tokens, head_dim]``; return all that is attended to."""
        if layer_idx not in self._keys:
            self._allocate(layer_idx, key_states, value_states)
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        sequences = self._sequences.to(keys.device)
        if self._prefill:
            length = key_states.shape[2]
            keys[sequences, :, :length] = key_states
            values[sequences, :, :length] = value_states
            return key_states, value_states
        positions = self._positions.to(keys.device)
        keys[sequences, :, positions] = key_states[:, :, 0]
        values[sequences, :, positions] = value_states[:, :, 0]
        count = len(sequences)
        return keys[:count, :, : self._view], values[:count, :, : self._view]

    def replace(self, origins: list[int], targets: list[int], length: int) -> None:
        """Copy sequences ``origins`` over sequences ``targets``, up to ``length`` tokens.

        No sequence may be both; then the copies take no memory.
        """
        for stored in (*self._keys.values(), *self._values.values()):
            for origin, target in zip(origins, targets, strict=True):
                stored[target, :, :length].copy_(stored[origin, :, :length])

    def permute(self, origins: list[int], targets: list[int], length: int) -> None:
        """As :meth:`replace`, where a sequence may be both.

        Where it raises (out of memory), the sequences are torn.
        """
        for stored in (*self._keys.values(), *self._values.values()):
            into, out_of = (torch.tensor(at, device=stored.device) for at in (targets, origins))
            per_token = len(origins) * stored[0, :, 0].numel() * stored.element_size()
            at_once = max(1, _MOVED_AT_ONCE // per_token)
            for part in torch.split(stored[:, :, :length], at_once, 2):
                part.index_copy_(0, into, part.index_select(0, out_of))

    def free(self, sequences: Iterable[int]) -> None:
        """The rectangle stays as large as it is."""
        del sequences

    def resize(self, sequences: int, length: int = 0) -> None:
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        wanted = min(self._length, _in_chunks(length)) if length else self._length
        self._restore(sequences, wanted, _SHARE_TO_SPARE)

    def emptied(self, sequences: int) -> "KVCache":
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        return KVCache(sequences)

    def sequences_that_fit(self, length: int) -> int | None:
        """As in the base; ``None`` before the first use, when the size of a token is not known."""
        fitting = [
            (self._held(device) + _SHARE_TO_SPARE * free_bytes(device)) // (per_token * length)
            for device, per_token in self._per_token().items()
        ]
        return int(min(fitting)) if fitting else None

    def clear(self) -> None:
        """Give the storage back."""
        self._keys.clear()
        self._values.clear()
        self._biases.clear()
        self._length = 0

    def _padded(self, length: int) -> int:
        return min(self._length, -(-length // 8) * 8)

    def _tokens_per_call(self) -> int:
        """Tokens of one sequence and layer that are read in the time of one more call."""
        keys = next(iter(self._keys.values()), None)
        if keys is None:
            return 0
        per_token = 2 * keys.shape[1] * keys.shape[3] * keys.element_size()
        return _CALL_BYTES.get(keys.device.type, _CALL_BYTES["cuda"]) // per_token

    def _reserve(self, length: int, end: int | None) -> None:
        """Make every sequence's storage so long, and longer where that is to be had."""
        if length <= self._length:
            return
        ahead = self._length + self._length // 2
        wanted = max(length, ahead if end is None else min(ahead, end))
        try:
            self._restore(self._capacity, _in_chunks(wanted), _SHARE_TO_SPARE)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._restore(self._capacity, -(-length // 8) * 8)

    def _restore(self, sequences: int, length: int, share: float | None = None) -> None:
        """Move everything to storage of so many sequences of so many tokens.

        Raises:
            MemoryError: a device has not as much left. Nothing has changed.
            torch.OutOfMemoryError: the device refuses. All that fits the smaller of both sizes is
                as it was.
        """
        self._check_room(sequences, length, share)
        before = self._capacity, self._length
        try:
            self._move(sequences, length)
        except BaseException:
            stored = (*self._keys.values(), *self._values.values())
            self._capacity = min(t.shape[0] for t in stored)
            self._length = min(t.shape[2] for t in stored)
            self._give_back(*before)
            raise
        self._capacity, self._length = sequences, length

    def _move(self, sequences: int, length: int) -> None:
        for store in (self._keys, self._values):
            for layer, old in store.items():
                if (old.shape[0], old.shape[2]) == (sequences, length):
                    continue
                kept, until = min(sequences, old.shape[0]), min(length, self._length)
                new = old.new_zeros((sequences, old.shape[1], length, old.shape[3]))
                new[:kept, :, :until] = old[:kept, :, :until]
                store[layer] = new

    def _give_back(self, sequences: int, length: int) -> None:
        """Undo as much of a growth as memory allows: what has grown is of no use."""
        if (self._capacity, self._length) == (sequences, length):
            try:
                self._move(sequences, length)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise

    def _check_room(self, sequences: int, length: int, share: float | None) -> None:
        for device, per_token in self._per_token().items():
            self._check_growth(per_token * sequences * length - self._held(device), device, share)

    def _check_growth(self, growth: int, device: torch.device, share: float | None = None) -> None:
        if growth > _WORTH_ASKING:
            part = _SHARE.get(device.type, 1.0) if share is None else share
            if growth > part * free_bytes(device) - _KEPT_FREE:
                raise MemoryError("no room for more or longer responses")

    def _per_token(self) -> dict[torch.device, int]:
        """Bytes of storage per token of a sequence on each device."""
        sizes: dict[torch.device, int] = {}
        for t in (*self._keys.values(), *self._values.values()):
            per_token = t.shape[1] * t.shape[3] * t.element_size()
            sizes[t.device] = sizes.get(t.device, 0) + per_token
        return sizes

    def _allocate(self, layer: int, keys: Tensor, values: Tensor) -> None:
        self._check_growth(2 * self._capacity * self._length * keys[0, :, 0].nbytes, keys.device)
        for store, like in ((self._keys, keys), (self._values, values)):
            # Zeros, not garbage: a masked NaN would still spread through 0 · NaN.
            store[layer] = like.new_zeros(
                (self._capacity, like.shape[1], self._length, like.shape[3])
            )


def _in_chunks(length: int) -> int:
    return -(-length // _CHUNK) * _CHUNK
