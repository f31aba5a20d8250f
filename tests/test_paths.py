"""Paths as users write them: odd ones are not there, and a missing home is one line."""

from pathlib import Path

import pytest

from mi_tui.errors import MiTuiError
from mi_tui.paths import config_folder, data_folder, expanded, is_directory, is_file, state_folder


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"
    assert expanded("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")


def test_what_cannot_be_looked_at_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_directory(tmp_path)
    assert is_file(tmp_path / "file")
    for odd in ("a" * 300, "nul\0"):
        assert not is_directory(tmp_path / odd)
        assert not is_file(tmp_path / odd)


@pytest.mark.parametrize("folder", [config_folder, data_folder, state_folder])
def test_a_home_that_nobody_knows_is_one_line(
    folder: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    for place in ("user_config_dir", "user_data_dir", "user_state_dir"):
        monkeypatch.setattr(f"platformdirs.{place}", unknown)
    assert callable(folder)
    with pytest.raises(MiTuiError, match="set HOME"):
        folder()
