"""The random drop: torch's mask without torch, the same however a tensor is cut into chunks."""

import numpy as np
import pytest
import torch

from mi_tui.checkpoints.kernels.random_drop import Drop, seed_of


@pytest.mark.parametrize("seed", [0, 3, 2**31, 2**32 - 1])
@pytest.mark.parametrize("density", [1e-3, 0.2, 0.5, 1 / 3, 0.999])
@pytest.mark.parametrize("step", [1000, 100_001])
def test_the_mask_is_torchs(seed: int, density: float, step: int) -> None:
    count = 100_001
    torch.manual_seed(seed)
    expected = torch.bernoulli(torch.full((count,), density)).numpy()
    kept = np.ones(count, np.float32)
    drop = Drop(seed, density)
    for first in range(0, count, step):
        drop.apply(kept[first : first + step])
    assert np.array_equal(kept, expected)


def test_at_full_density_nothing_is_dropped_and_nothing_drawn() -> None:
    kept = np.ones(1000, np.float32)
    Drop(0, 1.0).apply(kept)
    assert kept.all()


def test_each_change_has_a_stream_of_its_own() -> None:
    seeds = {
        seed_of(seed, role, name)
        for seed in (0, 1)
        for role in ("instruct", "thinking")
        for name in ("a.weight", "b.weight")
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**32 for seed in seeds)
