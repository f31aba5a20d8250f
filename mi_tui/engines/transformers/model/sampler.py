"""The sampler: temperature, top-k and top-p with a seed of its own for each sequence.

The draw is a Gumbel race: the token with the largest log-probability + Gumbel noise wins, which
is an exact sample of the distribution. The noise is a hash of (seed, position, token), so a
response depends neither on the batch it was in, nor on when it was resumed, nor on the device;
and two recipes with the same seed race the same noise, which agrees on a token as often as any
coupling without communication can (Daliri et al., "Coupling without communication", 2024).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_FULL_SORT = 4096
"""Vocabularies up to this size are sorted whole."""

_FIRST_CANDIDATES = 256
_GOLDEN = -7046029254386353131
_MIX_1 = -4658895280553007687
_MIX_2 = -7723592293110705685
_TOKEN = -3335678366873096957


@dataclass(frozen=True, slots=True)
class Draw:
    """How each of n sequences draws; every tensor has shape [n].

    ``temperature`` (float32) 0 is greedy; ``top_p`` (float32) infinity and ``top_k`` (int64) 0
    set no limit; ``seeds`` and ``positions`` (int64) decide the random numbers. The flags say
    what the caller knows of the whole batch, which saves asking the device, and small batches
    the work.
    """

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    seeds: Tensor
    positions: Tensor
    all_greedy: bool = False
    any_greedy: bool = True
    any_limit: bool = True
    any_top_k: bool = True


def draw_tokens(logits: Tensor, draw: Draw, *, at_once: bool = False) -> Tensor:
    """The next token of each sequence.

    The order is that of transformers: temperature, then top-k, then top-p over what is left.

    Args:
        logits: ``[n, vocabulary]``, any floating dtype; float32 inside.
        draw: each sequence's settings.
        at_once: do not wait for the device to say whether the best candidates were enough.

    Returns:
        Token ids, int64, shape [n]; with ``at_once`` −1 − id where the candidates were too few, so
        that the token is perhaps another one.
    """
    if draw.all_greedy:
        return logits.argmax(-1)
    temperature = draw.temperature[:, None]
    if draw.any_greedy:
        greedy = draw.temperature == 0
        temperature = temperature.where(~greedy[:, None], 1.0)
    scaled = logits.float() / temperature
    enough: Tensor | None = None
    if draw.any_limit:
        values, ids, enough = _kept(scaled, draw, at_once=at_once)
    else:
        values, ids = scaled, torch.arange(scaled.shape[-1], device=scaled.device).expand_as(scaled)
    race = values + gumbel_noise(draw.seeds, draw.positions, ids)
    winner = ids.gather(1, race.argmax(-1, keepdim=True))[:, 0]
    # The race is run for greedy sequences too: cheaper than taking them out.
    tokens = torch.where(greedy, logits.argmax(-1), winner) if draw.any_greedy else winner
    return tokens if enough is None else torch.where(enough, tokens, -1 - tokens)


def gumbel_noise(seeds: Tensor, positions: Tensor, ids: Tensor) -> Tensor:
    """Standard Gumbel noise, a pure function of (seed, position, token).

    Args:
        seeds: int64, shape [n].
        positions: int64, shape [n].
        ids: token ids, int64, shape [n, m].

    Returns:
        float64, shape [n, m].
    """
    sequences = _mixed(_mixed(seeds) + (positions + 1) * _GOLDEN)
    bits = _mixed(sequences[:, None] ^ ids * _TOKEN)
    uniform = _shifted(bits, 11).double().add_(0.5).mul_(2.0**-53)
    return uniform.log_().neg_().log_().neg_()


def _mixed(x: Tensor) -> Tensor:
    """The output function of SplitMix64 (Steele, Lea & Flood, 2014); int64 wraps as uint64 does."""
    x = (x ^ _shifted(x, 30)) * _MIX_1
    x = (x ^ _shifted(x, 27)) * _MIX_2
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """A logical right shift of int64 (torch's own is arithmetic)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _kept(scaled: Tensor, draw: Draw, *, at_once: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """The candidates that top-k and top-p leave, best first: values (others −∞) and ids.

    With ``at_once`` also, for each sequence, whether they are enough where that is not certain.
    """
    vocabulary = scaled.shape[-1]
    if vocabulary <= _FULL_SORT:
        values, ids = scaled.sort(dim=-1, descending=True, stable=True)
        if draw.any_top_k:
            values = _first(values, draw.top_k)
        return _nucleus(values, values.softmax(-1), draw.top_p), ids, None
    count = _FIRST_CANDIDATES
    while True:
        count = min(count, vocabulary)
        values, ids = scaled.topk(count, dim=-1)
        values, enough = _limited(values, scaled, draw)
        if at_once and count < vocabulary:
            return values, ids, enough
        if count == vocabulary or bool(enough.all()):
            return values, ids, None
        count *= 8


def _limited(values: Tensor, scaled: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Mask what top-k and top-p drop of the best candidates; also where they are enough.

    They are where a sequence may want none that is not among them.
    """
    total = scaled.logsumexp(-1)
    complete = torch.zeros_like(draw.top_k, dtype=torch.bool)
    if draw.any_top_k:
        values = _first(values, draw.top_k)
        total = torch.where(draw.top_k > 0, values.logsumexp(-1), total)
        complete = (draw.top_k > 0) & (draw.top_k <= values.shape[-1])
    kept = _nucleus(values, (values - total[:, None]).exp(), draw.top_p)
    return kept, complete | kept[:, -1].isneginf()


def _first(values: Tensor, top_k: Tensor) -> Tensor:
    """Descending values without those after the first ``top_k`` of a sequence; 0 keeps all."""
    rank = torch.arange(values.shape[-1], device=values.device)
    return values.masked_fill((top_k > 0)[:, None] & (rank >= top_k[:, None]), -torch.inf)


def _nucleus(values: Tensor, shares: Tensor, top_p: Tensor) -> Tensor:
    """Descending values without those before which the shares already sum up to ``top_p``."""
    before = shares.cumsum(-1).sub_(shares)
    return values.masked_fill(before >= top_p[:, None], -torch.inf)
