"""State of the batch: per sequence, last token, position, seed, decoding, output and lengths."""

import math
from collections import abc
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.model.sampler import Draw

_LAST, _POSITION, _COUNT, _SEED, _TOP_K = range(5)
_TEMPERATURE, _TOP_P = range(2)
_FIRST_OUTPUT = 64


class BatchState:
    """State of up to ``sequences`` sequences: tensors on the device, and what the host needs.

    ``lengths`` (int64, host) are the tokens in the cache, ``counts`` (int64, host) the tokens
    made, ``ends`` (int64, host) prompt and cap together: the host counts along, so that no step has
    to wait for the device.
    """

    def __init__(self, sequences: int, device: torch.device) -> None:
        self.sequences = sequences
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
        self.counts[here] = [len(sequence.tokens) for sequence in sequences]
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

    def append(self, first: int, tokens: Tensor) -> None:
        """Add a token (int64, shape [n]) to each of n sequences from ``first`` on."""
        here = slice(first, first + len(tokens))
        self._make_room(int(self.counts[here].max()))
        self._ints[_LAST, here] = tokens
        self._ints[_COUNT, here] += 1
        # Read back at once: giving way must not need memory on a device that is full.
        self._output[np.arange(here.start, here.stop), self.counts[here]] = tokens.cpu().numpy()
        self.counts[here] += 1

    def done(self, count: int, end_tokens: NDArray[np.int64]) -> tuple[list[int], list[bool]]:
        """The sequences that have finished, and for each whether by an end token."""
        last = self._output[np.arange(count), self.counts[:count] - 1]
        stopped = np.isin(last, end_tokens)
        at = np.flatnonzero(stopped | (self.counts[:count] >= self._caps[:count]))
        return at.tolist(), stopped[at].tolist()

    def output(self, sequences: abc.Sequence[int]) -> list[list[int]]:
        """All tokens made so far by each of ``sequences``."""
        return [self._output[at, : self.counts[at]].tolist() for at in sequences]

    def move(self, origins: list[int], targets: list[int]) -> None:
        """Copy sequences ``origins`` over sequences ``targets``."""
        for device in (self._ints.T, self._floats.T):
            device[targets] = device[origins]
        for host in (*self._hosts(), self._output):
            host[targets] = host[origins]

    def resize(self, sequences: int) -> None:
        """Keep the first ``sequences`` sequences, or make room for as many."""
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
        self.lengths, self.counts, self.ends, self._caps, self._greedy, *limits = grown
        self._limited, self._top_k = limits
        self.sequences = sequences

    def _hosts(self) -> tuple[NDArray[Any], ...]:
        sizes = self.lengths, self.counts, self.ends, self._caps
        return *sizes, self._greedy, self._limited, self._top_k

    def _make_room(self, most: int) -> None:
        if most >= self._output.shape[1]:
            grown = np.zeros((self.sequences, 2 * most), dtype=np.int64)
            grown[:, : self._output.shape[1]] = self._output
            self._output = grown
