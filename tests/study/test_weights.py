"""Weights that change under a study are noticed, wherever they are used again."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mi_tui.api.study import Study
from mi_tui.checkpoints import identity
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.identity import CheckpointIdentity, difference, identify, identity_from
from mi_tui.checkpoints.merging.manifest import read_manifest
from mi_tui.checkpoints.merging.write import merge
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from mi_tui.study import weights
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.store import Store
from mi_tui.study.weights import require_same_weights, settle_weights
from tests.study.presets import small_preset


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study of a copy of the bundled pair, whose weights have been noted."""
    for side in ("instruct", "thinking"):
        shutil.copytree(demo_pair_folder() / side, tmp_path / side)
    pair = Pair(instruct=str(tmp_path / "instruct"), thinking=str(tmp_path / "thinking"))
    preset = small_preset().model_copy(update={"pair": pair})
    made = Study.create(preset, tmp_path / "study")
    with Store(made.folder.database) as store:
        settle_weights(store)
    return made


def other_values(folder: Path) -> None:
    """The same header, other numbers: a newer fine-tune under the same name."""
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def other_values_of_the_same_time(folder: Path) -> None:
    """As after a copy that keeps the time of another file."""
    file = folder / "model.safetensors"
    facts = file.stat()
    shutil.copyfile(demo_pair_folder() / "base" / "model.safetensors", file)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)


def another_time(folder: Path) -> None:
    os.utime(folder / "model.safetensors")


def other_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))


def other_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages }}")


def one_more_set(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")


CHANGES = {
    "values": (other_values, "model.safetensors has changed"),
    "values under the same time": (
        other_values_of_the_same_time,
        "model.safetensors has changed",
    ),
    "time": (another_time, "model.safetensors has changed"),
    "config": (other_config, "config.json has changed"),
    "template": (other_template, "chat_template.jinja has changed"),
    "files": (one_more_set, "model.safetensors is gone; weights.safetensors is new"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("side", ["instruct", "thinking"])
def test_a_change_is_refused_with_its_name(
    change: str, side: str, study: Study, tmp_path: Path
) -> None:
    alter, words = CHANGES[change]
    alter(tmp_path / side)
    with Store(study.folder.database) as store:
        with pytest.raises(
            StudyError, match=f"{side} is not what this study has measured: {words}"
        ):
            settle_weights(store)
        with pytest.raises(StudyError, match=words):
            require_same_weights(Facts.of(store), where_present=True)
    with pytest.raises(StudyError, match=words):
        study.export(tmp_path / "out", ["mergekit"])


def test_what_does_not_touch_the_model_is_no_change(study: Study, tmp_path: Path) -> None:
    (tmp_path / "thinking" / "README.md").write_text("better words")
    os.utime(tmp_path / "thinking" / "config.json")
    with Store(study.folder.database) as store:
        settle_weights(store)


def test_the_bundled_pair_is_the_same_after_an_upgrade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip gives every file the time of its installation."""
    measured = identify("bundled:thinking")
    installed = tmp_path / "demo_pair"
    shutil.copytree(demo_pair_folder(), installed)
    (file,) = (installed / "thinking").glob("*.safetensors")
    os.utime(file, (1, 1))
    monkeypatch.setattr("mi_tui.checkpoints.locate.demo_pair_folder", lambda: installed)
    assert difference(measured, identify("bundled:thinking")) == ""
    noted_by_time = replace(measured.files[0], changed=1_700_000_000, sha256="0" * 64)
    older = replace(measured, files=(noted_by_time, *measured.files[1:]))
    assert difference(older, identify("bundled:thinking")) == ""
    other_values(installed / "thinking")
    assert "model.safetensors has changed" in difference(measured, identify("bundled:thinking"))


def test_what_an_earlier_version_noted_is_compared_as_it_did(tmp_path: Path) -> None:
    shutil.copytree(demo_pair_folder() / "thinking", tmp_path / "side")
    (tmp_path / "side" / "vocab.json").write_text("{}")
    now = identify(str(tmp_path / "side"))
    earlier = [
        {key: value for key, value in file.items() if key != "sample"}
        for file in now.as_dict()["files"]
        if file["name"] != "vocab.json"
    ]
    was = identity_from({**now.as_dict(), "files": earlier})
    assert difference(was, now) == ""
    other_values(tmp_path / "side")
    assert difference(was, identify(str(tmp_path / "side"))) == "model.safetensors has changed"
    (tmp_path / "side" / "vocab.json").write_text("[]")
    assert "vocab.json has changed" in difference(now, identify(str(tmp_path / "side")))


def test_missing_weights_are_passed_over_only_where_a_server_has_them(
    study: Study, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "thinking")
    with Store(study.folder.database) as store:
        require_same_weights(Facts.of(store), where_present=True)
        with pytest.raises(CheckpointError, match="no checkpoint"):
            require_same_weights(Facts.of(store))


def test_a_study_names_the_commits_that_it_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch of the hub that moves on does not change what a study goes on with."""
    commits = iter("abcd")

    def hub(reference: str) -> CheckpointIdentity:
        return CheckpointIdentity(reference, reference, next(commits) * 40, ())

    monkeypatch.setattr(weights, "identify", hub)
    preset = small_preset().model_copy(update={"pair": Pair(instruct="o/i", thinking="o/t")})
    from mi_tui.study.control import create_study

    path = create_study(preset, tmp_path / "study")
    with Store(path / "study.db") as store:
        first = settle_weights(store)
        second = settle_weights(store)
    assert first.pair.instruct == f"o/i@{'a' * 40}"
    assert first.pair.thinking == f"o/t@{'b' * 40}"
    assert second == first


def test_a_backbone_that_moves_on_is_refused() -> None:
    was = CheckpointIdentity("o/b", "o/b", "a" * 40, ())
    words = difference(was, replace(was, revision="b" * 40))
    assert words == f"it was o/b@{'a' * 12}, and is o/b@{'b' * 12}"


def test_an_identity_comes_back_as_it_was() -> None:
    found = identify("bundled:thinking")
    assert identity_from(json.loads(json.dumps(found.as_dict()))) == found
    with pytest.raises(ValueError, match="no identity"):
        identity_from({"files": [{"x": 1}]})


def test_a_manifest_names_the_files_that_were_merged(tmp_path: Path) -> None:
    pair = Pair(instruct="bundled:instruct", thinking="bundled:thinking")
    merge(interpolation(0.5), pair, tmp_path / "out")
    kept = read_manifest(tmp_path / "out").sources[1]
    assert kept.files == identity.identify("bundled:thinking").files
    assert "model.safetensors" in [file.name for file in kept.files]
