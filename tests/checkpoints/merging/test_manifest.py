"""The manifest: a merge that can be repeated and checked."""

import hashlib
import json
from pathlib import Path

import pytest

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.companions import MANIFEST
from mi_tui.checkpoints.merging.manifest import read_manifest, verify
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe, interpolation
from tests.checkpoints.families import tiny_pair
from tests.checkpoints.weights import change_json


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return tiny_pair("qwen3", tmp_path_factory.mktemp("pair"), base=True)


@pytest.fixture
def merged(paths: tuple[Path, ...], tmp_path: Path) -> Path:
    pair = Pair(instruct=str(paths[0]), thinking=str(paths[1]))
    merge(interpolation(0.55), pair, tmp_path / "out", shard_bytes=60_000)
    return tmp_path / "out"


def test_the_manifest_repeats_the_merge(merged: Path, tmp_path: Path) -> None:
    manifest = read_manifest(merged)
    assert manifest.recipe is not None
    recipe = Recipe.model_validate(manifest.recipe)
    assert recipe == interpolation(0.55)
    sources = {source.role: source for source in manifest.sources}
    for source in sources.values():
        assert source.header_sha256 == inspect(locate(source.reference)).header_sha256
    pair = Pair(
        instruct=sources["instruct"].reference,
        thinking=sources["thinking"].reference,
    )
    again = merge(recipe, pair, tmp_path / "again", shard_bytes=60_000)
    assert again.shards == manifest.shards


def test_the_digests_are_those_of_the_files(merged: Path) -> None:
    manifest = read_manifest(merged)
    assert len(manifest.shards) > 1
    for record in (*manifest.shards, *manifest.companions):
        content = (merged / record.name).read_bytes()
        assert record.nbytes == len(content)
        assert record.sha256 == hashlib.sha256(content).hexdigest()
    everything = {record.name for record in (*manifest.shards, *manifest.companions)}
    assert everything | {MANIFEST} == {file.name for file in merged.iterdir()}


def test_verify_finds_every_change(merged: Path) -> None:
    seen: list[tuple[int, int]] = []
    findings = verify(merged, progress=lambda done, total: seen.append((done, total)))
    assert {finding.level for finding in findings} == {"ok"}
    assert seen[-1][0] == seen[-1][1]
    first, second = sorted(merged.glob("*.safetensors"))[:2]
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes() + b"x")
    (merged / "config.json").unlink()
    (merged / "extra.txt").touch()
    levels = {finding.subject: (finding.level, finding.message) for finding in verify(merged)}
    assert levels[first.name] == ("error", "has other content: merge again")
    assert levels[second.name] == ("error", "has another size: merge again")
    assert levels["config.json"][0] == "error"
    assert levels["extra.txt"][0] == "warning"


def test_a_manifest_that_is_missing_or_hostile(merged: Path) -> None:
    shards = json.loads((merged / MANIFEST).read_text())["shards"]
    shards[0]["name"] = "../outside"
    change_json(merged / MANIFEST, shards=shards)
    with pytest.raises(CheckpointError, match="damaged"):
        verify(merged)
    change_json(merged / MANIFEST, shards=3)
    with pytest.raises(CheckpointError, match="damaged"):
        verify(merged)
    (merged / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match="not written by mi-tui"):
        verify(merged)
