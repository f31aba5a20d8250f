"""The code that a checkpoint brings is found wherever transformers would look for it."""

import json
from pathlib import Path

import pytest

from mi_tui.checkpoints.checks.remote_code import is_trusted, remote_code, require_trust
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.locate import Location
from mi_tui.plan.remote_code import RemoteCodeError, allow


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def checkpoint(folder: Path, name: str = "config.json", **content: object) -> Location:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / name).write_text(json.dumps(content))
    (folder / "own.py").write_text("print()")
    return Location(str(folder), folder)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "preprocessor_config.json"]
)
def test_a_named_class_is_found_in_every_file(tmp_path: Path, name: str) -> None:
    found = remote_code(checkpoint(tmp_path / "a", name, auto_map={"AutoX": [None, "own.X"]}))
    assert found is not None
    assert found.files == ("own.py",)
    assert found.revision.startswith("sha256:")


def test_a_class_named_inside_a_part_is_found(tmp_path: Path) -> None:
    inner = {"auto_map": {"AutoConfig": "own.C"}}
    assert remote_code(checkpoint(tmp_path / "a", text_config=inner)) is not None


def test_code_that_nothing_names_is_not_run(tmp_path: Path) -> None:
    assert remote_code(checkpoint(tmp_path / "a", auto_map={})) is None
    (tmp_path / "a" / "custom_generate").mkdir()
    (tmp_path / "a" / "custom_generate" / "generate.py").write_text("")
    assert remote_code(Location("a", tmp_path / "a")) is not None


def test_a_commit_of_the_hub_is_the_revision(tmp_path: Path) -> None:
    place = checkpoint(tmp_path / "a", auto_map={"AutoConfig": "own.C"})
    found = remote_code(Location("owner/name@main", place.path, "owner/name", "c0ffee"))
    assert found is not None
    assert (found.of, found.revision) == ("owner/name", "c0ffee")


def test_code_of_another_repository_is_refused(tmp_path: Path) -> None:
    place = checkpoint(tmp_path / "a", auto_map={"AutoConfig": "other/repo--own.C"})
    with pytest.raises(CheckpointError, match="other/repo"):
        remote_code(place)
    assert not require_trust(place, wanted=False)


def test_code_is_trusted_where_it_is_wanted_and_allowed_and_until_it_changes(
    tmp_path: Path,
) -> None:
    place = checkpoint(tmp_path / "a", auto_map={"AutoConfig": "own.C"})
    assert not require_trust(place, wanted=False)
    assert not is_trusted(place, wanted=True)
    with pytest.raises(RemoteCodeError):
        require_trust(place, wanted=True)
    allow([remote_code(place)])
    assert require_trust(place, wanted=True)
    assert is_trusted(place, wanted=True)
    assert not is_trusted(place, wanted=False)
    (place.path / "own.py").write_text("print(2)")
    with pytest.raises(RemoteCodeError):
        require_trust(place, wanted=True)


def test_a_checkpoint_without_code_needs_no_consent(tmp_path: Path) -> None:
    assert not require_trust(checkpoint(tmp_path / "a"), wanted=True)
