"""The files that a merged checkpoint takes over, and those that it does not."""

from pathlib import Path

import pytest

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.locate import TEMPLATES
from mi_tui.checkpoints.merging.companions import companion_files, companion_name
from mi_tui.checkpoints.merging.manifest import foreign_files, read_manifest, verify
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.checkpoints.families import tiny_pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    instruct, thinking = tiny_pair("qwen3", tmp_path / "pair")
    return Pair(instruct=str(instruct), thinking=str(thinking))


@pytest.mark.parametrize("name", ["LICENSE", "notes.txt", f"{TEMPLATES}/tool.jinja"])
def test_a_link_out_of_the_checkpoint_is_refused_and_nothing_is_written(
    pair: Pair, tmp_path: Path, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:x")
    link = Path(pair.thinking, name)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(secret)
    with pytest.raises(CheckpointError, match=r"is a link to .*secret, outside of its checkpoint"):
        merge(interpolation(0.5), pair, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_inside_the_checkpoint_is_followed(pair: Pair) -> None:
    folder = Path(pair.thinking)
    (folder / "LICENSE.md").write_text("terms")
    (folder / "LICENSE").symlink_to("LICENSE.md")
    assert {"LICENSE", "LICENSE.md"} <= {file.name for file in companion_files(folder)}


def test_the_blobs_of_the_hubs_cache_are_inside(tmp_path: Path) -> None:
    repository = tmp_path / "models--a--b"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / ("0" * 40)
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / "1").write_text("{}")
    (snapshot / "config.json").symlink_to(Path("..", "..", "blobs", "1"))
    assert [file.name for file in companion_files(snapshot)] == ["config.json"]


def test_a_companion_of_a_terabyte_is_refused(pair: Pair) -> None:
    with Path(pair.thinking, "vocab.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(CheckpointError, match=r"vocab\.txt has 1.*TiB, far too much"):
        companion_files(Path(pair.thinking))


def test_named_chat_templates_are_taken_over_listed_and_checked(pair: Pair, tmp_path: Path) -> None:
    folder = Path(pair.thinking, TEMPLATES)
    folder.mkdir()
    (folder / "tool_use.jinja").write_text("{{ messages }}")
    out = tmp_path / "out"
    merge(interpolation(0.5), pair, out)
    name = f"{TEMPLATES}/tool_use.jinja"
    assert (out / name).read_text() == "{{ messages }}"
    assert name in {companion_name(file) for file in companion_files(Path(pair.thinking))}
    assert name in {record.name for record in read_manifest(out).companions}
    assert {finding.level for finding in verify(out)} == {"ok"}
    assert foreign_files(out) == ()
    merge(interpolation(0.25), pair, out, overwrite=True)
    (out / name).write_text("changed!")
    (out / TEMPLATES / "mine.jinja").write_text("")
    assert foreign_files(out) == (f"{TEMPLATES}/mine.jinja",)
    levels = {finding.subject: finding.level for finding in verify(out)}
    assert levels[name] == "error"
    assert levels[f"{TEMPLATES}/mine.jinja"] == "warning"
