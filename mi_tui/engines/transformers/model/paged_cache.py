"""Key/value cache in pages: a sequence holds the pages it fills, and gives them back when it ends.

One long response takes no more than its own length, so that memory holds as many sequences as their
tokens together allow. Attention reads the pages where they lie: torch's ``varlen_attn`` on CUDA.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mi_tui.engines.transformers.devices.memory import free_bytes, is_out_of_memory
from mi_tui.engines.transformers.model.kv_cache import KVCache
from mi_tui.engines.transformers.model.length_blocks import Lengths
from mi_tui.engines.transformers.model.page_table import PAGE, PageTable, pages_for
from mi_tui.engines.transformers.model.paged_attention import Pages
from mi_tui.engines.transformers.model.slot_cache import SlotCache

_KEPT_FREE = 64 << 20
_MOST_KEPT_FREE = 2 << 30
"""Bytes that storage leaves free at first, twice as many each time that this was too little, and at
most."""

_AHEAD = 1
"""Pages that each sequence is to have ahead of it before another one joins."""


class NoPagesError(MemoryError):
    """There are not as many pages as the sequences of a pass need."""


class PagedCache(SlotCache):
    """Keys and values per layer as ``[pages, PAGE, kv_heads, head_dim]``, shared by all sequences.

    Storage is allocated at a layer's first use, in the dtype and on the device of its keys, and
    grows by half, but not beyond what the sequences need at their ends.
    """

    in_pages = True

    def __init__(self, sequences: int) -> None:
        super().__init__(sequences)
        self._table = PageTable(sequences)
        self._kept_free = _KEPT_FREE
        self._written = torch.empty(0, dtype=torch.long)
        self._on_device: Tensor | None = None
        self._pages: Pages | None = None

    @property
    def pages(self) -> Pages:
        """The pages that a decode pass reads."""
        assert self._pages is not None
        return self._pages

    def begin_prefill(
        self,
        sequences: Tensor,
        length: int,
        end: int | None = None,
        lengths: Lengths | None = None,
    ) -> None:
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        del end
        rows = np.array(sequences.tolist(), dtype=np.int64)
        lengths = np.full(len(rows), length) if lengths is None else lengths
        self._prefill = True
        self._biases.clear()
        self._table.free(rows.tolist())
        self._extend(rows, lengths)
        at = np.arange(length)
        # Padding goes to page 0, or behind a sequence's last token in its own last page.
        written = self._table.table[rows][:, at // PAGE].astype(np.int64) * PAGE + at % PAGE
        self._written = _sent(written.reshape(-1), sequences.device)

    def begin_decode(
        self, sequences: Tensor, positions: Tensor, lengths: Lengths, end: int | None = None
    ) -> None:
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        del end
        count = len(lengths)
        self._prefill = False
        self._sequences, self._positions = sequences, positions
        self._biases.clear()
        self._extend(np.arange(count), lengths)
        self._view = int(lengths.max())
        if self._on_device is None:
            self._on_device = _sent(self._table.table, positions.device)
        most = int(pages_for(lengths).max())
        table = self._on_device[:count, :most]
        page = table.gather(1, positions[:, None] // PAGE)[:, 0]
        self._written = page * PAGE + positions % PAGE
        self._pages = Pages(table, (positions + 1).int(), self._view)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Store ``[batch, kv_heads, tokens, head_dim]``.

        Returns:
            In a prefill the same; in a decode pass the layer's pages.
        """
        if layer_idx not in self._keys:
            self._allocate(layer_idx, key_states, value_states)
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        written = self._written.to(keys.device)
        for stored, states in ((keys, key_states), (values, value_states)):
            tokens = states.transpose(1, 2).flatten(0, 1)
            stored.flatten(0, 1).index_copy_(0, written, tokens)
        return (key_states, value_states) if self._prefill else (keys, values)

    def replace(self, origins: list[int], targets: list[int], length: int) -> None:
        """See :class:`~mi_tui.engines.transformers.model.slot_cache.SlotCache`."""
        del length
        self._table.move(origins, targets)
        self._on_device = None

    def free(self, sequences: Iterable[int]) -> None:
        """Give back the pages of these sequences."""
        self._table.free(sequences)
        self._on_device = None

    def resize(self, sequences: int, length: int = 0) -> None:
        """Keep the first ``sequences`` sequences, or make room for as many.

        Where they become fewer, memory has run out: pages that nobody holds are given back, and
        more is left free from then on.

        Raises:
            torch.OutOfMemoryError: not even for moving to smaller storage there is memory.
        """
        del length
        shrinks = sequences < self._capacity
        self._table.resize(sequences)
        self._capacity = sequences
        self._on_device = None
        if shrinks and self._keys:
            self._kept_free = min(2 * self._kept_free, _MOST_KEPT_FREE)
            used = self._table.compact()
            self._move(used, len(used))

    def emptied(self, sequences: int) -> "PagedCache":
        """A cache without storage, which leaves as much memory free as this one had to."""
        cache = PagedCache(sequences)
        cache._kept_free = self._kept_free
        return cache

    def most_pages(self) -> int | None:
        """How many pages there can be, beside what else is in memory; ``None`` if not yet known."""
        per_token = self._per_token()
        if not per_token:
            return None
        return self._table.pages - 1 + min(self._growth(device) for device in per_token)

    def can_join(self, lengths: Lengths, newcomers: Lengths) -> int:
        """How many of some newcomers there are pages for, in their order.

        Args:
            lengths: tokens of the sequences that are there.
            newcomers: tokens that each newcomer is to read.
        """
        most = self.most_pages()
        if most is None:
            return len(newcomers)
        left = most - int(pages_for(lengths + 1).sum()) - _AHEAD * len(lengths)
        wanted = np.cumsum(pages_for(newcomers + 1) + _AHEAD)
        return int((wanted <= left).sum())

    def too_many(self, lengths: Lengths) -> int:
        """How many pages memory lacks for sequences of so many tokens; 0 where none is missing."""
        most = self.most_pages()
        return 0 if most is None else max(0, int(pages_for(lengths).sum()) - most)

    def _per_token(self) -> dict[torch.device, int]:
        sizes: dict[torch.device, int] = {}
        for t in (*self._keys.values(), *self._values.values()):
            per_token = t[0, 0].nbytes
            sizes[t.device] = sizes.get(t.device, 0) + per_token
        return sizes

    def _growth(self, device: torch.device) -> int:
        """By how many pages storage may grow on a device.

        Growing moves one tensor at a time, which is there twice until it has been copied.
        """
        largest = max(
            t.nbytes for t in (*self._keys.values(), *self._values.values()) if t.device == device
        )
        room = free_bytes(device) - self._kept_free - largest
        return max(0, int(room // (PAGE * self._per_token()[device])))

    def _extend(self, rows: NDArray[np.int64], lengths: Lengths) -> None:
        """Let these sequences have room for so many tokens.

        Raises:
            NoPagesError: there are not as many pages.
            torch.OutOfMemoryError: the device refuses what it had seemed to have.
        """
        missing = self._table.missing(rows, lengths)
        if missing:
            self._grow(missing)
        if self._table.extend(rows, lengths):
            self._on_device = None

    def _grow(self, missing: int) -> None:
        """Have at least so many pages more, and half as many again where that is to be had."""
        pages = self._table.pages
        most = self.most_pages()
        if most is None:
            self._table.grow(pages + missing)
            return
        if pages + missing > most + 1:
            raise NoPagesError("no room for more or longer responses")
        others = int(self._table.held.sum()) if self._prefill else 0
        ends = others + int(pages_for(self.ends).sum())
        wanted = max(pages + missing, min(pages + pages // 2, ends + 1, most + 1))
        try:
            self._move(slice(pages), wanted)
        except BaseException:
            self._undo(pages)
            raise
        self._table.grow(wanted)

    def _move(self, kept: slice | NDArray[np.int64], pages: int) -> None:
        """Move these pages to the beginning of storage of so many, one tensor after the other."""
        for store in (self._keys, self._values):
            for layer, old in store.items():
                at = kept if isinstance(kept, slice) else torch.from_numpy(kept).to(old.device)
                new = old.new_zeros((pages, *old.shape[1:]))
                part = old[at]
                new[: len(part)] = part
                store[layer] = new

    def _undo(self, pages: int) -> None:
        """Give back what a growth that failed has taken, as far as memory allows."""
        try:
            for store in (self._keys, self._values):
                for layer, grown in store.items():
                    if len(grown) > pages:
                        store[layer] = grown[:pages].clone()
        except Exception as error:
            if not is_out_of_memory(error):
                raise

    def _allocate(self, layer: int, keys: Tensor, values: Tensor) -> None:
        for store, like in ((self._keys, keys), (self._values, values)):
            # Zeros, not garbage: a masked NaN would still spread through 0 · NaN.
            store[layer] = like.new_zeros((self._table.pages, PAGE, like.shape[1], like.shape[3]))


def slots_for(sequences: int, *, in_pages: bool) -> SlotCache:
    """An empty cache for so many sequences."""
    return PagedCache(sequences) if in_pages else KVCache(sequences)


def _sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """A copy on the device, for which the host does not wait."""
    if device.type != "cuda":
        return torch.tensor(array, device=device)
    return torch.from_numpy(array).pin_memory().to(device, non_blocking=True)
