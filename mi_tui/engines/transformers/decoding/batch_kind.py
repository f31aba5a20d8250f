"""The kind of batch that a model's cache allows: continuous, or static."""

from collections import abc
from collections.abc import Iterable

import torch

from mi_tui.engines.transformers.decoding.decoder import Decoder
from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.decoding.static_batch import StaticBatchDecoder
from mi_tui.engines.transformers.model.forward import Batching, Weights

AnyDecoder = Decoder | StaticBatchDecoder


def decoder_for(
    weights: Weights, *, capacity: int, end_tokens: Iterable[int], device: torch.device
) -> AnyDecoder:
    """An empty batch for weights, with room for ``capacity`` sequences.

    Args:
        weights: what computes the logits.
        capacity: how many sequences there is room for.
        end_tokens: ids that end a response.
        device: where the sequences' state lies.
    """
    kind = Decoder if weights.batching is Batching.CONTINUOUS else StaticBatchDecoder
    return kind(weights, capacity=capacity, end_tokens=end_tokens, device=device)


def fits_decoder(decoder: AnyDecoder, weights: Weights) -> bool:
    """Whether weights may be used in this batch."""
    if weights.batching is not Batching.CONTINUOUS:
        return isinstance(decoder, StaticBatchDecoder)
    return isinstance(decoder, Decoder) and decoder.in_pages == weights.in_pages


def starting_together(
    decoder: AnyDecoder, sequences: abc.Sequence[Sequence]
) -> abc.Sequence[Sequence]:
    """Those of some sequences that may join an empty batch with the first one."""
    if decoder.weights.batching is not Batching.EQUAL:
        return sequences
    return [sequence for sequence in sequences if sequence.length == sequences[0].length]
