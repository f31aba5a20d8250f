"""The forward pass over a batch, to the logits of each sequence's last token."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mi_tui.engines.transformers.model.attention import attended
from mi_tui.engines.transformers.model.slot_cache import SlotCache


class Batching(Enum):
    """What sequences may share a batch.

    ``CONTINUOUS``: any, and others may join; the cache is slots. The others use transformers' own
    cache, and start together: ``STATIC`` prompts of any length, ``EQUAL`` those of one length.
    """

    CONTINUOUS = auto()
    STATIC = auto()
    EQUAL = auto()


class Forward(Protocol):
    """Computes logits with the weights as they are now."""

    def __call__(
        self, tokens: Tensor, positions: Tensor, slots: SlotCache, last: Tensor | None = None
    ) -> Tensor:
        """Read tokens into the cache and return logits.

        Args:
            tokens: ids, ``[batch, tokens]``.
            positions: of each token in its sequence, ``[batch, tokens]``.
            slots: the cache, told before which sequences this is about.
            last: which token of each sequence counts, ``[batch]``; by default the last one.

        Returns:
            ``[batch, vocabulary]``.
        """

    def refresh(self) -> None:
        """Take note that the weights, or the sequences' λ, have changed."""


class Weights(Protocol):
    """A causal language model with its weights, in place or mixed sequence by sequence."""

    @property
    def model(self) -> Any:
        """The transformers model."""

    @property
    def forward(self) -> Forward:
        """What computes its logits."""

    @property
    def batching(self) -> Batching:
        """What sequences may share a batch."""

    @property
    def in_pages(self) -> bool:
        """Whether sequences of continuous batches hold pages of the cache's storage."""

    def prepare(self, recipes: Sequence[int]) -> None:
        """Make the next forward passes compute these sequences' recipes, given by number."""


class PlainForward:
    """The forward pass of the transformers model itself: any architecture."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._head: nn.Module = model.get_output_embeddings()

    def __call__(
        self, tokens: Tensor, positions: Tensor, slots: SlotCache, last: Tensor | None = None
    ) -> Tensor:
        """See :class:`Forward`."""
        with _OnlyLast(self._head, last), attended(slots):
            output: Any = self._model(
                input_ids=tokens, position_ids=positions, past_key_values=slots, use_cache=True
            )
        logits: Tensor = output.logits[:, -1]
        return logits

    def refresh(self) -> None:
        """Nothing is derived from the weights."""


class _OnlyLast:
    """While it lasts, the head sees one hidden state per sequence: that of the prompt's last token.

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
        sequences = torch.arange(len(last), device=hidden.device)
        return (hidden[sequences, last][:, None], *rest)
