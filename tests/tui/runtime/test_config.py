"""The settings file of the app: whatever stands in it is read, or told in one line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mi_tui.tui.runtime.config import AppConfig, ConfigError, read_config
from mi_tui.tui.runtime.themes import load_themes

VALUES = st.sampled_from(
    ["1", "-1", "1.5", "nan", "true", "''", "'x'", "[]", "['a']", "[[]]", "{}", "{a = 1}",
     "2020-01-01", "{a = 'b'}", '"\\u202e"'],
)  # fmt: skip


def test_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    assert read_config(file) == AppConfig()
    file.write_text("theme = 'mi-light'\nnotify = true\nkeys = {'home.demo' = 'x'}\n")
    found = read_config(file)
    assert (found.theme, found.notify, found.keys) == ("mi-light", True, {"home.demo": "x"})


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.sampled_from(["theme", "keys", "notify", "keys.a", "other"]), value=VALUES)
def test_any_value_in_any_place_is_read_or_refused(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "app.toml"
    file.write_text(f"{key} = {value}\n", encoding="utf-8")
    said = ""
    try:
        read_config(file)
    except ConfigError as error:
        said = str(error)
    assert not said or said.startswith(f"{file}")
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize("content", [b"\xff", b"theme = ", b"\x00", b"theme = " + b"[" * 3000])
def test_a_file_that_is_no_toml_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "app.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read") as error:
        read_config(file)
    assert len(str(error.value).splitlines()) == 1
    themes, problems = load_themes([tmp_path])
    assert not themes
    assert [problem.path for problem in problems] == [file]
