"""Buffers of λ, for every token and every row of logits of vLLM's batch, at fixed addresses.

A captured CUDA graph reads its inputs from fixed addresses, so λ is written into the same buffers
before each step, and the mixed layers hold views of them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mi_tui.engines.vllm.worker.recipe_table import Place, RecipeTable


class LambdaColumn:
    """λ of the batch for one layer and module kind.

    ``tokens`` (float32, ``[most tokens, 1]``) follows the rows of the hidden states, ``logits``
    (float32, ``[most rows of logits, 1]``) those of the logits. ``is_zero`` says that every part
    of the present step has Instruct's weights here.
    """

    def __init__(self, tokens: Tensor, logits: Tensor) -> None:
        self.tokens = tokens
        self.logits = logits
        self.is_zero = True


class LambdaBuffers:
    """The buffers, and the table of λ from which they are written.

    Args:
        places: what needs a λ of its own.
        table: a row of λ for each recipe, over the same places.
        most_tokens: tokens in the largest batch, padding for CUDA graphs included.
        most_logits: rows of logits in the largest batch.
    """

    def __init__(
        self, places: Sequence[Place], table: RecipeTable, most_tokens: int, most_logits: int
    ) -> None:
        self.table = table
        self.device = table.values.device
        self.most_tokens = most_tokens
        count = len(places)
        self._tokens = torch.zeros(count, most_tokens, device=self.device)
        self._logits = torch.zeros(count, most_logits, device=self.device)
        self._columns = {
            place: LambdaColumn(self._tokens[at, :, None], self._logits[at, :, None])
            for at, place in enumerate(places)
        }
        self._written: tuple[int, list[int], list[int]] = (-1, [], [])

    def column(self, place: Place) -> LambdaColumn:
        """The buffers' views for one layer and module kind."""
        return self._columns[place]

    def holds(self, present: list[int], counts: list[int]) -> bool:
        """Whether the buffers hold λ of this step already, as they do while the same requests
        generate; it counts as written from now on.

        Args:
            present: the table row of each request.
            counts: how many tokens of each the step computes, and what else decides the rows.
        """
        step = (self.table.version, present, counts)
        held = step == self._written
        self._written = step
        return held

    def write(self, of_tokens: Tensor, of_logits: Tensor, present: list[int]) -> None:
        """Write λ of the coming step.

        Args:
            of_tokens: the table row of each token, on the device.
            of_logits: the table row of each row of logits, on the device.
            present: the table rows in the batch, on the host.
        """
        self._tokens[:, : len(of_tokens)] = self.table.values[:, of_tokens]
        self._logits[:, : len(of_logits)] = self.table.values[:, of_logits]
        zero = np.logical_and.reduce(self.table.is_zero[present])
        for column, is_zero in zip(self._columns.values(), zero, strict=True):
            column.is_zero = bool(is_zero)
