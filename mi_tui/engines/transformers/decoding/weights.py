"""What a decoder needs of a model whose weights follow the recipes of its rows."""

from collections.abc import Sequence
from typing import Any, Protocol

from mi_tui.engines.transformers.model.forward import Forward


class Weights(Protocol):
    """A causal language model with its weights, in place or mixed row by row."""

    @property
    def model(self) -> Any:
        """The transformers model."""

    @property
    def forward(self) -> Forward:
        """What computes its logits."""

    def prepare(self, recipes: Sequence[int]) -> None:
        """Make the next forward passes compute these rows' recipes, given by number."""
