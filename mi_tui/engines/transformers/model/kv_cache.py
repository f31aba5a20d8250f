"""Key/value cache of slots: sequences of different lengths share one batch.

Sequence ``r`` of the batch owns slot ``r`` of every layer's storage. A newcomer's prompt is
written at positions 0, 1, …; each later token at the sequence's own position. What lies beyond a
sequence's position is never attended to, so nothing has to be cleared when a sequence leaves.
"""

from dataclasses import replace

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from mi_tui.engines.transformers.devices.memory import free_bytes
from mi_tui.engines.transformers.model.length_blocks import LengthBlock, Lengths, length_blocks

_CHUNK = 64
_WORTH_ASKING = 64 << 20
_CALL_BYTES = {"cpu": 256 << 10, "cuda": 64 << 20}
"""Bytes that are read, roughly, in the time that one more call of the attention takes.

Measured for the CPU; for CUDA reckoned from 20 µs of launches at 3 TB/s.
"""

_MOVED_AT_ONCE = 64 << 20
"""Bytes that may be taken for sequences on their way."""


class KVCache(Cache):
    """Keys and values of up to ``sequences`` sequences.

    Per layer ``[batch, kv_heads, length, head_dim]``.

    Storage is allocated at a layer's first use, in the dtype and on the device of its keys (so a
    model split over several devices works), and grows in length as needed. Before each forward
    pass say with :meth:`begin_prefill` or :meth:`begin_decode` which sequences it is about.
    """

    def __init__(self, sequences: int) -> None:
        super().__init__(layers=[])
        self._capacity = sequences
        self._length = 0
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._sequences = torch.empty(0, dtype=torch.long)
        self._positions = torch.empty(0, dtype=torch.long)
        self._view = 0
        self._blocks: tuple[LengthBlock, ...] = ()
        self._prefill = True
        self._biases: dict[tuple[int | None, int | None, torch.dtype, torch.device], Tensor] = {}

    @property
    def is_prefill(self) -> bool:
        """Whether the pass under way reads newcomers' prompts."""
        return self._prefill

    def begin_prefill(self, sequences: Tensor, length: int) -> None:
        """The next pass writes positions 0 to ``length`` − 1 of these sequences (int64, [m])."""
        self._prefill = True
        self._sequences = sequences
        self._biases.clear()
        self._reserve(length)

    @property
    def blocks(self) -> tuple[LengthBlock, ...]:
        """The sequences of a decode pass in parts, each attended to up to a length of its own."""
        return self._blocks

    def begin_decode(self, sequences: Tensor, positions: Tensor, lengths: Lengths) -> None:
        """The next pass writes one token per sequence.

        Args:
            sequences: 0, 1, …, n − 1 (int64, shape [n]): the sequences alive are always the first
                ones.
            positions: where each sequence's token goes (int64, shape [n]).
            lengths: the same plus one (int64, shape [n], known to the host).
        """
        self._prefill = False
        self._sequences, self._positions = sequences, positions
        self._biases.clear()
        longest = int(lengths.max())
        self._reserve(longest)
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

    def resize(self, sequences: int) -> None:
        """Keep the first ``sequences`` sequences, or make room for as many."""
        self._capacity = sequences
        self._restore(self._length)

    def clear(self) -> None:
        """Give the storage back."""
        self._keys.clear()
        self._values.clear()
        self._biases.clear()
        self._length = 0

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The longest sequence so far."""
        del layer_idx
        return self._view

    @property
    def bytes_per_token(self) -> int:
        """Bytes of storage per token of a sequence; 0 before the first use."""
        stored = (*self._keys.values(), *self._values.values())
        return sum(t.shape[1] * t.shape[3] * t.element_size() for t in stored)

    def _padded(self, length: int) -> int:
        return min(self._length, -(-length // 8) * 8)

    def _tokens_per_call(self) -> int:
        """Tokens of one sequence and layer that are read in the time of one more call."""
        keys = next(iter(self._keys.values()), None)
        if keys is None:
            return 0
        per_token = 2 * keys.shape[1] * keys.shape[3] * keys.element_size()
        return _CALL_BYTES.get(keys.device.type, _CALL_BYTES["cuda"]) // per_token

    def _reserve(self, length: int) -> None:
        if length <= self._length:
            return
        wanted = max(length, self._length + self._length // 2)
        self._restore(-(-wanted // _CHUNK) * _CHUNK)

    def _restore(self, length: int) -> None:
        """Move everything to storage of the present capacity and this length.

        Raises:
            MemoryError: a CPU has not as much left (it would kill the process rather than say so).
        """
        self._check_room(length)
        kept = min(length, self._length)
        for store in (self._keys, self._values):
            for layer, old in store.items():
                sequences = min(self._capacity, old.shape[0])
                new = old.new_zeros((self._capacity, old.shape[1], length, old.shape[3]))
                new[:sequences, :, :kept] = old[:sequences, :, :kept]
                store[layer] = new
        self._length = length

    def _check_room(self, length: int) -> None:
        on_cpu = any(keys.device.type == "cpu" for keys in self._keys.values())
        growth = self.bytes_per_token * self._capacity * (length - self._length)
        if on_cpu and growth > _WORTH_ASKING and growth > 0.9 * free_bytes(torch.device("cpu")):
            raise MemoryError("no room for longer responses")

    def _allocate(self, layer: int, keys: Tensor, values: Tensor) -> None:
        for store, like in ((self._keys, keys), (self._values, values)):
            # Zeros, not garbage: a masked NaN would still spread through 0 · NaN.
            store[layer] = like.new_zeros(
                (self._capacity, like.shape[1], self._length, like.shape[3])
            )
