"""State of the batch: per sequence, last token, position, seed, decoding, output and lengths.

On a GPU the host reads a step's tokens while the next step runs, so that it never waits for what it
has just launched: a sequence that has ended makes one token more, which nobody sees.
"""

import math
from collections import abc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.model.sampler import Draw, draw_tokens

_LAST, _POSITION, _COUNT, _SEED, _TOP_K = range(5)
_TEMPERATURE, _TOP_P = range(2)
_FIRST_OUTPUT = 64
_LATE = frozenset({"cuda"})
"""Devices whose tokens are read a step late."""


@dataclass(frozen=True, slots=True)
class _Unread:
    """Tokens on their way to the host, of sequences from ``first`` on.

    ``logits`` are what they were drawn from, where a draw was perhaps from too few candidates;
    ``event`` tells when they have arrived.
    """

    first: int
    tokens: Tensor
    logits: Tensor | None
    event: Any = None

    @property
    def here(self) -> slice:
        return slice(self.first, self.first + len(self.tokens))

    def read(self) -> NDArray[np.int64]:
        """The tokens, once they are there."""
        if self.event is not None:
            self.event.synchronize()
        tokens: NDArray[np.int64] = self.tokens.numpy()
        return tokens


class BatchState:
    """State of up to ``sequences`` sequences: tensors on the device, and what the host needs.

    ``lengths`` (int64, host) are the tokens in the cache, ``counts`` (int64, host) the tokens
    made, ``ends`` (int64, host) prompt and cap together: the host counts along, so that no step has
    to wait for the device.
    """

    def __init__(self, sequences: int, device: torch.device, end_tokens: Iterable[int]) -> None:
        self.sequences = sequences
        self.late = device.type in _LATE
        self._end = np.array(sorted(end_tokens), dtype=np.int64)
        self._unread: list[_Unread] = []
        self._known = np.zeros(sequences, dtype=np.int64)
        self._stopped = np.zeros(sequences, dtype=np.int64)
        self.lengths = np.zeros(sequences, dtype=np.int64)
        self.counts = np.zeros(sequences, dtype=np.int64)
        self._greedy = np.zeros(sequences, dtype=np.bool_)
        self._limited = np.zeros(sequences, dtype=np.bool_)
        self._top_k = np.zeros(sequences, dtype=np.bool_)
        self._caps = np.zeros(sequences, dtype=np.int64)
        self.ends = np.zeros(sequences, dtype=np.int64)
        self._ints = torch.zeros((5, sequences), dtype=torch.long, device=device)
        self._floats = torch.zeros((2, sequences), dtype=torch.float32, device=device)
        self._output = np.zeros((sequences, _FIRST_OUTPUT), dtype=np.int64)

    def write(self, first: int, sequences: abc.Sequence[Sequence]) -> None:
        """Enter newcomers at ``first`` and after."""
        here = slice(first, first + len(sequences))
        device = self._ints.device
        decodings = [sequence.request.recipe.decoding for sequence in sequences]
        self.lengths[here] = [len(sequence.context) for sequence in sequences]
        self.counts[here] = self._known[here] = [len(sequence.tokens) for sequence in sequences]
        self._stopped[here] = 0
        self._greedy[here] = [d.temperature == 0 for d in decodings]
        self._limited[here] = [d.top_p < 1 or d.top_k > 0 for d in decodings]
        self._top_k[here] = [d.top_k > 0 for d in decodings]
        self._caps[here] = [sequence.request.max_new_tokens for sequence in sequences]
        self.ends[here] = [sequence.end for sequence in sequences]
        ints = [
            [0] * len(sequences),
            self.lengths[here].tolist(),
            self.counts[here].tolist(),
            [sequence.seed for sequence in sequences],
            [d.top_k for d in decodings],
        ]
        # A sum of shares may end a rounding error below 1; top-p 1 must keep everything.
        top_p = [d.top_p if d.top_p < 1 else math.inf for d in decodings]
        floats = [[d.temperature for d in decodings], top_p]
        self._ints[:, here] = torch.tensor(ints, dtype=torch.long, device=device)
        self._floats[:, here] = torch.tensor(floats, dtype=torch.float32, device=device)
        self._make_room(int(self.counts[here].max()))
        for at, sequence in enumerate(sequences, start=first):
            if sequence.tokens:
                self._output[at, : len(sequence.tokens)] = sequence.tokens

    def last_tokens(self, count: int) -> Tensor:
        """The newest token of the first ``count`` sequences (int64, shape [count])."""
        return self._ints[_LAST, :count]

    def positions(self, count: int) -> Tensor:
        """Positions of the next token of the first ``count`` sequences (int64, shape [count])."""
        return self._ints[_POSITION, :count]

    def advance(self, count: int) -> None:
        """One more token of each of the first ``count`` sequences is in the cache."""
        self._ints[_POSITION, :count] += 1
        self.lengths[:count] += 1

    def skip(self, count: int, tokens: int) -> None:
        """Place the next tokens of the first ``count`` sequences so much later in the cache."""
        self._ints[_POSITION, :count] += tokens
        self.lengths[:count] += tokens

    def draw(self, first: int, count: int) -> Draw:
        """How ``count`` sequences from ``first`` on draw their next token."""
        here = slice(first, first + count)
        return Draw(
            temperature=self._floats[_TEMPERATURE, here],
            top_p=self._floats[_TOP_P, here],
            top_k=self._ints[_TOP_K, here],
            seeds=self._ints[_SEED, here],
            positions=self._ints[_COUNT, here],
            all_greedy=bool(self._greedy[here].all()),
            any_greedy=bool(self._greedy[here].any()),
            any_limit=bool(self._limited[here].any()),
            any_top_k=bool(self._top_k[here].any()),
        )

    def draw_next(self, count: int, logits: Tensor) -> None:
        """Draw a token for each of the first ``count`` sequences and add it.

        Where tokens are read late, nobody waits to hear whether the best candidates were enough:
        if they were not, the draw and the step after it are done again.
        """
        tokens = draw_tokens(logits, self.draw(0, count), at_once=self.late)
        self.append(0, tokens, logits if self.late else None)

    def append(self, first: int, tokens: Tensor, logits: Tensor | None = None) -> None:
        """Add a token (int64, shape [n]) to each of n sequences from ``first`` on.

        ``logits``: what was drawn from where tokens may be −1 − id (``draw_tokens``).
        """
        here = slice(first, first + len(tokens))
        self._make_room(int(self.counts[here].max()))
        self._ints[_LAST, here] = tokens if logits is None else torch.maximum(tokens, -1 - tokens)
        self._ints[_COUNT, here] += 1
        self.counts[here] += 1
        # Sent back at once: giving way must not need memory on a device that is full.
        event = None
        sent = tokens.to("cpu", non_blocking=self.late)
        if tokens.device.type == "cuda":
            event = torch.cuda.current_stream(tokens.device).record_event()
        self._unread.append(_Unread(first, sent, logits, event))
        if not self.late:
            self._read()

    def done(self, count: int) -> tuple[list[int], list[bool]]:
        """The sequences that are known to have finished, and for each whether by an end token."""
        self._read(keep=1)
        if (self.counts[:count] >= self._caps[:count]).any():
            self._read()
        capped = self.counts[:count] >= self._caps[:count]
        stopped = self._stopped[:count] > 0
        at = np.flatnonzero(stopped | capped)
        return at.tolist(), stopped[at].tolist()

    def output(self, sequences: abc.Sequence[int], *, ended: bool = True) -> list[list[int]]:
        """All tokens made so far by each of ``sequences``.

        ``ended``: the end token included; else those that are not finished for anybody, who will
        draw it again.
        """
        if sequences:
            self._read()
        last = np.where(self._stopped > 0, self._stopped - (not ended), self._known)
        return [self._output[at, : last[at]].tolist() for at in sequences]

    def _read(self, keep: int = 0) -> None:
        """Take note of the tokens that have been sent, but for those of the last acts."""
        while len(self._unread) > keep:
            sent = self._unread.pop(0)
            here, tokens = sent.here, sent.read()
            if (tokens < 0).any():
                tokens = self._drawn_again(sent, tokens)
            self._output[np.arange(here.start, here.stop), self._known[here]] = tokens
            self._known[here] += 1
            ends = np.isin(tokens, self._end) & (self._stopped[here] == 0)
            self._stopped[here][ends] = self._known[here][ends]

    def _drawn_again(self, sent: _Unread, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """The right tokens where candidates were too few; a step from wrong ones is undone.

        What such a step has written to the cache is written again by the next one.
        """
        assert sent.logits is not None
        here, device = sent.here, self._ints.device
        counts = torch.from_numpy(self._known[here].copy()).to(device)
        draw = replace(self.draw(here.start, len(tokens)), positions=counts)
        right = draw_tokens(sent.logits, draw)
        found: NDArray[np.int64] = right.cpu().numpy()
        if not np.array_equal(found, np.maximum(tokens, -1 - tokens)):
            self._ints[_LAST, here] = right
            joined = [later for later in self._unread if later.logits is None]
            for later in self._unread:
                if later.logits is None:  # a prefill, which does not depend on these tokens
                    self._ints[_LAST, later.here] = torch.from_numpy(later.read()).to(device)
                else:
                    self._ints[_COUNT, later.here] -= 1
                    self.counts[later.here] -= 1
                    self.skip(len(later.tokens), -1)
            self._unread = joined
        return found

    def move(self, origins: list[int], targets: list[int]) -> None:
        """Copy sequences ``origins`` over sequences ``targets``."""
        self._read()
        for device in (self._ints.T, self._floats.T):
            device[targets] = device[origins]
        for host in (*self._hosts(), self._output):
            host[targets] = host[origins]

    def resize(self, sequences: int) -> None:
        """Keep the first ``sequences`` sequences, or make room for as many."""
        self._read()
        kept = min(sequences, self.sequences)
        old = self._ints, self._floats
        self._ints = old[0].new_zeros((len(old[0]), sequences))
        self._floats = old[1].new_zeros((len(old[1]), sequences))
        self._ints[:, :kept], self._floats[:, :kept] = old[0][:, :kept], old[1][:, :kept]
        output = np.zeros((sequences, self._output.shape[1]), dtype=np.int64)
        output[:kept] = self._output[:kept]
        self._output = output
        grown = [
            np.concatenate([host[:kept], np.zeros(sequences - kept, dtype=host.dtype)])
            for host in self._hosts()
        ]
        self.lengths, self.counts, self.ends, self._caps, *others = grown
        self._known, self._stopped, self._greedy, self._limited, self._top_k = others
        self.sequences = sequences

    def _hosts(self) -> tuple[NDArray[Any], ...]:
        sizes = self.lengths, self.counts, self.ends, self._caps, self._known, self._stopped
        return *sizes, self._greedy, self._limited, self._top_k

    def _make_room(self, most: int) -> None:
        if most >= self._output.shape[1]:
            grown = np.zeros((self.sequences, 2 * most), dtype=np.int64)
            grown[:, : self._output.shape[1]] = self._output
            self._output = grown
