"""DARE: seeded, the same whatever the threads and chunks, unbiased."""

from pathlib import Path

import pytest
import torch

from mi_tui.checkpoints.merging.in_memory import mixed_tensors
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load, same_bits, store


def as_pair(paths: tuple[Path, ...]) -> Pair:
    return Pair(instruct=str(paths[0]), thinking=str(paths[1]), base=str(paths[2]))


@pytest.mark.parametrize("method", ["dare", "dare-ties"])
def test_the_seed_alone_decides(method: str, tmp_path: Path) -> None:
    """Not the number of threads, the shards, or whether files or memory receive the result."""
    pair = as_pair(tiny_pair("qwen3", tmp_path, base=True, shards=3))
    recipe = Recipe(method=method, scale=0.7, density=0.3, seed=5)
    merge(recipe, pair, tmp_path / "one", threads=1)
    merge(recipe, pair, tmp_path / "four", threads=4, shard_bytes=20_000)
    one, four = load(tmp_path / "one"), load(tmp_path / "four")
    for name, tensor in mixed_tensors(recipe, pair):
        assert same_bits(one[name], four[name]), name
        assert same_bits(one[name], tensor), name
    merge(recipe.model_copy(update={"seed": 6}), pair, tmp_path / "other")
    other = load(tmp_path / "other")
    assert not any(same_bits(one[name], other[name]) for name in one)


def test_what_is_kept_makes_up_for_what_is_dropped(tmp_path: Path) -> None:
    """Changes of one become 0 or 1 / density, and on average stay one."""
    paths = tiny_pair("qwen3", tmp_path, base=True)
    base = {name: torch.zeros_like(tensor) for name, tensor in load(paths[2]).items()}
    store(paths[2], base)
    store(paths[1], base)
    store(paths[0], {name: torch.ones_like(tensor) for name, tensor in base.items()})
    merge(Recipe(method="dare", scale=1.0, density=0.25), as_pair(paths), tmp_path / "out")
    merged = torch.cat([tensor.flatten() for tensor in load(tmp_path / "out").values()])
    assert set(merged.tolist()) == {0.0, 4.0}
    deviation = (0.75 * 0.25 / len(merged)) ** 0.5 * 4
    assert abs(float(merged.mean()) - 1.0) < 5 * deviation
