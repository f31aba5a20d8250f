"""The draw is an exact sample, limited as transformers limits it, and a function of its seed."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from mi_tui.engines.transformers.model import sampler
from mi_tui.engines.transformers.model.sampler import Draw, draw_tokens, gumbel_noise


def draw(
    sequences: int, *, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, seed: int = 0
) -> Draw:
    return Draw(
        temperature=torch.full((sequences,), temperature),
        top_p=torch.full((sequences,), top_p if top_p < 1 else torch.inf),
        top_k=torch.full((sequences,), top_k),
        seeds=torch.arange(sequences) + 1000 * seed,
        positions=torch.zeros(sequences, dtype=torch.long),
        any_limit=top_p < 1 or top_k > 0,
    )


def expected_shares(
    logits: torch.Tensor, temperature: float, top_p: float, top_k: int
) -> torch.Tensor:
    ids = torch.zeros(1, 1, dtype=torch.long)
    scores = TemperatureLogitsWarper(temperature)(ids, logits[None])
    if top_k:
        scores = TopKLogitsWarper(top_k)(ids, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(ids, scores)
    shares: torch.Tensor = scores.softmax(-1)[0]
    return shares


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    temperature=st.sampled_from([0.3, 0.6, 1.0, 1.7]),
    top_p=st.sampled_from([0.3, 0.8, 0.95, 1.0]),
    top_k=st.sampled_from([0, 1, 3, 20]),
)
def test_frequencies_are_those_of_transformers_warpers(
    seed: int, temperature: float, top_p: float, top_k: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(30, generator=generator)
    sequences = 20_000
    tokens = draw_tokens(
        logits.expand(sequences, -1),
        draw(sequences, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed % 97),
    )
    shares = torch.bincount(tokens, minlength=30) / sequences
    expected = expected_shares(logits, temperature, top_p, top_k)
    assert shares[expected == 0].sum() == 0
    assert 0.5 * (shares - expected).abs().sum() < 0.035


def test_large_vocabularies_take_the_same_token_as_a_full_sort() -> None:
    generator = torch.Generator().manual_seed(3)
    # Flat sequences need more candidates than the first try, peaked sequences do not.
    sharpness = torch.tensor([0.01, 0.5, 3.0, 8.0]).repeat(8)[:, None]
    logits = sharpness * torch.randn(32, 9000, generator=generator)
    how = draw(32, temperature=0.8, top_p=0.9)
    few = draw_tokens(logits, how)
    original = sampler._FULL_SORT
    try:
        sampler._FULL_SORT = 10_000
        assert torch.equal(few, draw_tokens(logits, how))
    finally:
        sampler._FULL_SORT = original


def test_greedy_sequences_and_sampled_sequences_share_a_batch() -> None:
    logits = torch.randn(64, 50)
    how = draw(64, temperature=1.0, top_p=0.9)
    how.temperature[::2] = 0
    tokens = draw_tokens(logits, how)
    assert torch.equal(tokens[::2], logits.argmax(-1)[::2])
    assert not torch.equal(tokens[1::2], logits.argmax(-1)[1::2])


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=8, unique=True))
def test_noise_depends_on_seed_position_and_token_alone(seeds: list[int]) -> None:
    ids = torch.arange(40).expand(len(seeds), -1)
    positions = torch.arange(len(seeds))
    together = gumbel_noise(torch.tensor(seeds), positions, ids)
    assert together.isfinite().all()
    for at, seed in enumerate(seeds):
        alone = gumbel_noise(torch.tensor([seed]), positions[at : at + 1], ids[:1].flip(-1))
        assert torch.equal(alone.flip(-1)[0], together[at])
    assert len(set(together[:, 0].tolist())) == len(seeds)


def test_noise_is_standard_gumbel() -> None:
    noise = gumbel_noise(
        torch.arange(500), torch.zeros(500).long(), torch.arange(200).expand(500, -1)
    )
    assert abs(noise.mean() - 0.5772) < 0.02
    assert abs(noise.var() - 1.6449) < 0.04
    sequences, columns = noise - noise.mean(1, keepdim=True), noise - noise.mean(0)
    assert abs((sequences[:, 1:] * sequences[:, :-1]).mean()) < 0.02
    assert abs((columns[1:] * columns[:-1]).mean()) < 0.02


def test_like_distributions_pick_like_tokens() -> None:
    """The coupling of one seed across recipes: agreement of at least (1 − TV) / (1 + TV)."""
    generator = torch.Generator().manual_seed(5)
    one = torch.randn(20, generator=generator)
    other = one + 0.4 * torch.randn(20, generator=generator)
    variation = 0.5 * (one.softmax(-1) - other.softmax(-1)).abs().sum()
    sequences = 20_000
    same = draw_tokens(one.expand(sequences, -1), draw(sequences)) == draw_tokens(
        other.expand(sequences, -1), draw(sequences)
    )
    assert same.float().mean() > (1 - variation) / (1 + variation) - 0.02
