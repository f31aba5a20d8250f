"""The state of a decoder's rows: tensors on its device, and what the host must know beside."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mi_tui.engines.transformers.decoding.sequence import Row
from mi_tui.engines.transformers.model.sampler import Draw

_LAST, _POSITION, _COUNT, _SEED, _TOP_K = range(5)
_TEMPERATURE, _TOP_P = range(2)
_FIRST_OUTPUT = 64


class RowState:
    """Last token, position, tokens made, cap, seed, decoding and output of up to ``rows`` rows.

    ``lengths`` (int64, host) are the tokens in the cache, ``counts`` (int64, host) the tokens
    made: the host counts along, so that no step has to wait for the device.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.rows = rows
        self.lengths = np.zeros(rows, dtype=np.int64)
        self.counts = np.zeros(rows, dtype=np.int64)
        self._greedy = np.zeros(rows, dtype=np.bool_)
        self._limited = np.zeros(rows, dtype=np.bool_)
        self._top_k = np.zeros(rows, dtype=np.bool_)
        self._caps = np.zeros(rows, dtype=np.int64)
        self._ints = torch.zeros((5, rows), dtype=torch.long, device=device)
        self._floats = torch.zeros((2, rows), dtype=torch.float32, device=device)
        self._output = torch.zeros((rows, _FIRST_OUTPUT), dtype=torch.long, device=device)

    def write(self, first: int, rows: Sequence[Row]) -> None:
        """Enter newcomers at ``first`` and after."""
        here = slice(first, first + len(rows))
        device = self._ints.device
        decodings = [row.request.recipe.decoding for row in rows]
        self.lengths[here] = [len(row.context) for row in rows]
        self.counts[here] = [len(row.tokens) for row in rows]
        self._greedy[here] = [d.temperature == 0 for d in decodings]
        self._limited[here] = [d.top_p < 1 or d.top_k > 0 for d in decodings]
        self._top_k[here] = [d.top_k > 0 for d in decodings]
        self._caps[here] = [row.request.max_new_tokens for row in rows]
        ints = [
            [0] * len(rows),
            self.lengths[here].tolist(),
            self.counts[here].tolist(),
            [row.seed for row in rows],
            [d.top_k for d in decodings],
        ]
        # A sum of shares may end a rounding error below 1; top-p 1 must keep everything.
        top_p = [d.top_p if d.top_p < 1 else math.inf for d in decodings]
        floats = [[d.temperature for d in decodings], top_p]
        self._ints[:, here] = torch.tensor(ints, dtype=torch.long, device=device)
        self._floats[:, here] = torch.tensor(floats, dtype=torch.float32, device=device)
        self._make_room(int(self.counts[here].max()))
        for at, row in enumerate(rows, start=first):
            if row.tokens:
                made = torch.tensor(row.tokens, dtype=torch.long, device=device)
                self._output[at, : len(made)] = made

    def last_tokens(self, count: int) -> Tensor:
        """The newest token of the first ``count`` rows (int64, shape [count])."""
        return self._ints[_LAST, :count]

    def positions(self, count: int) -> Tensor:
        """Where the next token of the first ``count`` rows is cached (int64, shape [count])."""
        return self._ints[_POSITION, :count]

    def advance(self, count: int) -> None:
        """One more token of each of the first ``count`` rows is in the cache."""
        self._ints[_POSITION, :count] += 1
        self.lengths[:count] += 1

    def skip(self, count: int, tokens: int) -> None:
        """Place the next tokens of the first ``count`` rows so much later in the cache."""
        self._ints[_POSITION, :count] += tokens
        self.lengths[:count] += tokens

    def draw(self, first: int, count: int) -> Draw:
        """How ``count`` rows from ``first`` on draw their next token."""
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
        """Add a token (int64, shape [n]) to each of n rows from ``first`` on."""
        here = slice(first, first + len(tokens))
        self._make_room(int(self.counts[here].max()))
        count = self._ints[_COUNT, here]
        self._output[here].scatter_(1, count[:, None], tokens[:, None])
        self._ints[_LAST, here] = tokens
        count += 1
        self.counts[here] += 1

    def done(self, count: int, end_tokens: Tensor) -> tuple[list[int], list[bool]]:
        """The rows that have finished, and for each whether by an end token."""
        stopped = torch.isin(self._ints[_LAST, :count], end_tokens).cpu().numpy()
        at = np.flatnonzero(stopped | (self.counts[:count] >= self._caps[:count]))
        return at.tolist(), stopped[at].tolist()

    def output(self, rows: Sequence[int]) -> list[list[int]]:
        """All tokens made so far by each of ``rows``."""
        if not rows:
            return []
        counts = self.counts[list(rows)].tolist()
        made = self._output[list(rows), : max(counts)].tolist()
        return [tokens[:count] for tokens, count in zip(made, counts, strict=True)]

    def move(self, sources: list[int], targets: list[int]) -> None:
        """Copy rows ``sources`` over rows ``targets``."""
        for host in self._hosts():
            host[targets] = host[sources]
        for device in (self._ints.T, self._floats.T, self._output):
            device[targets] = device[sources]

    def resize(self, rows: int) -> None:
        """Keep the first ``rows`` rows, or make room for as many."""
        kept = min(rows, self.rows)
        old = self._ints, self._floats, self._output
        self._ints = old[0].new_zeros((len(old[0]), rows))
        self._floats = old[1].new_zeros((len(old[1]), rows))
        self._output = old[2].new_zeros((rows, old[2].shape[1]))
        self._ints[:, :kept], self._floats[:, :kept] = old[0][:, :kept], old[1][:, :kept]
        self._output[:kept] = old[2][:kept]
        self.lengths, self.counts, self._greedy, self._limited, self._top_k, self._caps = (
            np.concatenate([host[:kept], np.zeros(rows - kept, dtype=host.dtype)])
            for host in self._hosts()
        )
        self.rows = rows

    def _hosts(self) -> tuple[NDArray[Any], ...]:
        return self.lengths, self.counts, self._greedy, self._limited, self._top_k, self._caps

    def _make_room(self, most: int) -> None:
        if most >= self._output.shape[1]:
            grown = self._output.new_zeros((self.rows, 2 * most))
            grown[:, : self._output.shape[1]] = self._output
            self._output = grown
