"""One forward pass over a batch of rows, to the logits of each row's last token."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mi_tui.engines.transformers.model.kv_cache import SlotCache


class Forward(Protocol):
    """Computes logits with the weights as they are now."""

    def __call__(
        self, tokens: Tensor, positions: Tensor, slots: SlotCache, last: Tensor | None = None
    ) -> Tensor:
        """Read tokens into the cache and return logits.

        Args:
            tokens: ids, ``[rows, tokens]``.
            positions: of each token in its row, ``[rows, tokens]``.
            slots: the cache, told before which rows this is about.
            last: which token of each row counts, ``[rows]``; by default the last one.

        Returns:
            ``[rows, vocabulary]``.
        """

    def refresh(self) -> None:
        """Take note that the weights, or the rows' λ, have changed."""


class PlainForward:
    """The forward pass of the transformers model itself: any architecture."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._head: nn.Module = model.get_output_embeddings()

    def __call__(
        self, tokens: Tensor, positions: Tensor, slots: SlotCache, last: Tensor | None = None
    ) -> Tensor:
        """See :class:`Forward`."""
        with _OnlyLast(self._head, last):
            output: Any = self._model(
                input_ids=tokens,
                position_ids=positions,
                past_key_values=slots,
                use_cache=True,
                slots=slots,
            )
        logits: Tensor = output.logits[:, -1]
        return logits

    def refresh(self) -> None:
        """Nothing is derived from the weights."""


class _OnlyLast:
    """While it lasts, the head sees one hidden state per row: that of the prompt's last token.

    The head over every token of every prompt would cost more memory than all the rest.
    """

    def __init__(self, head: nn.Module, last: Tensor | None) -> None:
        self._head = head
        self._last = last

    def __enter__(self) -> None:
        if self._last is not None:
            self._handle = self._head.register_forward_pre_hook(self._pick)

    def __exit__(self, *_: object) -> None:
        if self._last is not None:
            self._handle.remove()

    def _pick(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *rest = inputs
        assert self._last is not None
        last = self._last.to(hidden.device)
        rows = torch.arange(len(last), device=hidden.device)
        return (hidden[rows, last][:, None], *rest)
