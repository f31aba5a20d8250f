"""Computing, writing and digesting in parts: the same bytes however the work is divided."""

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mi_tui.checkpoints.kernels.raw_bytes import CHUNK
from mi_tui.checkpoints.merging import pipeline
from mi_tui.checkpoints.merging.tensor_plan import MergeDtype
from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.transformers.weights.interpolate import mix
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import load, same_bits, store

HALF = interpolation(0.55)
TIES = Recipe(method="ties", scale=0.7, density=0.3)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    paths = tiny_pair("qwen3", folder, shards=2, dtype=torch.bfloat16, base=True)
    instruct, thinking, base = (str(path) for path in paths)
    return Pair(instruct=instruct, thinking=thinking, base=base)


@pytest.mark.parametrize("recipe", [HALF, TIES], ids=["interpolation", "TIES"])
@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("starved", [False, True], ids=["with buffers", "without buffers"])
def test_small_parts_give_the_same_bytes_and_the_files_own_digest(
    recipe: Recipe,
    threads: int,
    starved: bool,
    pair: Pair,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With parts far smaller than tensors, digested from memory or read back from the file."""
    merge(recipe, pair, tmp_path / "at once", shard_bytes=30_000)
    monkeypatch.setattr(pipeline, "PART_BYTES", 512)
    monkeypatch.setattr(pipeline, "_PATIENCE", 0.0)
    if starved:
        monkeypatch.setattr(pipeline._Buffers, "take", lambda *_: None)
    manifest = merge(recipe, pair, tmp_path / "out", shard_bytes=30_000, threads=threads)
    for record in manifest.shards:
        content = (tmp_path / "out" / record.name).read_bytes()
        assert content == (tmp_path / "at once" / record.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == record.sha256
        assert len(content) == record.nbytes


@pytest.mark.parametrize(("threads", "abreast"), [(1, 1), (2, 1), (3, 2), (8, 4)])
def test_more_threads_work_at_several_files_since_each_digest_takes_one(
    threads: int, abreast: int, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    stretches = pipeline._stretches

    def watched(*args: Any, **kwargs: Any) -> Iterator[pipeline._Stretch]:
        for stretch in stretches(*args, **kwargs):
            taken.append(stretch.file)
            yield stretch

    monkeypatch.setattr(pipeline, "PART_BYTES", 512)
    monkeypatch.setattr(pipeline, "_stretches", watched)
    manifest = merge(HALF, pair, tmp_path / "out", shard_bytes=12_000, threads=threads)
    assert len(manifest.shards) > 4
    last = {file: at for at, file in enumerate(taken)}
    under_way = [
        sum(at in range(taken.index(file), last[file] + 1) for file in last)
        for at in range(len(taken))
    ]
    assert max(under_way) == abreast


SIZES = (1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3)


@pytest.mark.parametrize("source", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16"])
def test_tensors_around_the_size_of_a_chunk(
    source: torch.dtype, dtype: MergeDtype, tmp_path: Path
) -> None:
    """Odd and even, shorter and longer than a chunk, in every dtype on both sides."""
    paths = tiny_pair("qwen3", tmp_path, dtype=source)
    generator = torch.Generator().manual_seed(1)
    for path in paths:
        more = {f"model.more.{n}": torch.randn(n, generator=generator).to(source) for n in SIZES}
        store(path, load(path) | more)
    instruct, thinking = (str(path) for path in paths)
    merge(HALF, Pair(instruct=instruct, thinking=thinking), tmp_path / "out", dtype=dtype)
    wanted = source if dtype == "auto" else getattr(torch, dtype)
    one, two = load(paths[0]), load(paths[1])
    for name, tensor in load(tmp_path / "out").items():
        assert same_bits(tensor, mix(one[name], two[name], 0.55, out_dtype=wanted)), name


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    """A tensor of 4 MiB and one of 24 need the same: the parts under way, and nothing else."""
    peaks = []
    for mebibytes in (4, 24):
        folder = tmp_path / str(mebibytes)
        paths = tiny_pair("qwen3", folder, dtype=torch.bfloat16)
        for path in paths:
            more = torch.zeros(mebibytes << 19, dtype=torch.bfloat16)
            store(path, load(path) | {"model.more": more})
        pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
        tracemalloc.start()
        try:
            merge(HALF, pair, folder / "out", threads=2)
            peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2
    assert peaks[1] < 40


def test_a_buffer_is_waited_for_and_then_done_without() -> None:
    buffers = pipeline._Buffers(1)
    one = buffers.take(0.0)
    assert one is not None
    assert buffers.take(0.001) is None
    buffers.give_back(one)
    assert buffers.take(0.0) is one
