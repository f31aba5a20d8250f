"""Buffers of λ, for every token and every request of vLLM's batch, at fixed addresses.

A captured CUDA graph reads its inputs from fixed addresses, so λ is written into the same buffers
before each step, and the mixed layers hold views of them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mi_tui.plan.recipe import Recipe
from mi_tui.plan.scope import ModuleKind

Place = tuple[int | None, ModuleKind]
"""A layer (``None``: outside the stack) and a module kind: what has one λ."""


class LambdaColumn:
    """λ of the batch for one layer and module kind.

    ``tokens`` (float32, ``[most tokens, 1]``) follows the rows of the hidden states, ``requests``
    (float32, ``[most requests, 1]``) those of the logits. ``is_zero`` says that every part of the
    present step has Instruct's weights here.
    """

    def __init__(self, tokens: Tensor, requests: Tensor) -> None:
        self.tokens = tokens
        self.requests = requests
        self.is_zero = True


class LambdaBuffers:
    """The buffers, and the table of recipes from which they are filled.

    Args:
        places: what needs a λ of its own.
        most_tokens: tokens in the largest batch, padding for CUDA graphs included.
        most_requests: rows of logits in the largest batch.
        device: where the model lies.
    """

    def __init__(
        self, places: Sequence[Place], most_tokens: int, most_requests: int, device: torch.device
    ) -> None:
        self._places = tuple(dict.fromkeys(places))
        count = len(self._places)
        self._tokens = torch.zeros(count, most_tokens, dtype=torch.float32, device=device)
        self._requests = torch.zeros(count, most_requests, dtype=torch.float32, device=device)
        self._columns = {
            place: LambdaColumn(self._tokens[at, :, None], self._requests[at, :, None])
            for at, place in enumerate(self._places)
        }
        self._device = device
        self._numbers: dict[str, int] = {}
        self._table = torch.zeros(0, count)
        self._on_device = self._table.T.to(device)
        self._filled: tuple[list[int], list[int]] = ([], [])

    def column(self, place: Place) -> LambdaColumn:
        """The buffers' views for one layer and module kind."""
        return self._columns[place]

    def number(self, recipe: str) -> int:
        """The table's row of a recipe, given as the JSON that travels with a request."""
        number = self._numbers.get(recipe)
        if number is None:
            number = self._numbers[recipe] = len(self._numbers)
            read = Recipe.model_validate_json(recipe)
            row = [[read.lambda_at(layer, kind) for layer, kind in self._places]]
            self._table = torch.cat([self._table, torch.tensor(row).view(1, -1)])
            self._on_device = self._table.T.contiguous().to(self._device)
        return number

    def fill(self, recipes: Sequence[int], tokens: Sequence[int]) -> None:
        """Write λ of the coming step.

        Args:
            recipes: the table row of each request, in the order of the batch.
            tokens: how many tokens of each request the step computes.
        """
        wanted = (list(recipes), list(tokens))
        if wanted == self._filled:
            return
        self._filled = wanted
        of_request = torch.tensor(wanted[0], dtype=torch.long)
        of_token = of_request.repeat_interleave(torch.tensor(wanted[1]))
        self._write(self._tokens, of_token)
        self._write(self._requests, of_request)
        present = self._table[sorted(set(wanted[0]))]
        for column, zero in zip(
            self._columns.values(), (present == 0).all(0).tolist(), strict=True
        ):
            column.is_zero = zero

    def _write(self, buffer: Tensor, rows: Tensor) -> None:
        if self._device.type == "cuda":  # pinned, so that the copy waits for no running step
            rows = rows.pin_memory().to(self._device, non_blocking=True)
        buffer[:, : len(rows)] = self._on_device[:, rows]
