"""Presets with values of any type in any place: read, or refused in one line with file and key."""

import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mi_tui.errors import MiTuiError
from mi_tui.paths import presets_folder
from mi_tui.plan.preset import Preset
from mi_tui.plan.toml import PresetError, parse_preset, read_preset
from tests.checkpoints.test_inspect_foreign_types import changed, places

ODD: tuple[Any, ...] = (
    True, 0, -1, 7, 10**18, 1.5, float("nan"), float("inf"), "", "text", "a\nb\x1b[2J", "\u202e",
    [], [1], ["a"], [{"name": []}], {}, {"a": 1}, [[]], [["a"]], "9" * 5000,
    datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.time(1),
)  # fmt: skip
STARTS = (
    presets_folder() / "demo.toml",
    Path(__file__).with_name("old_presets") / "schema-2.toml",
)
CASES = [
    (file, way)
    for file in STARTS
    for way in sorted(set(places(tomllib.loads(file.read_text(encoding="utf-8")))), key=repr)
    if way
]


def read(file: Path, way: tuple[Any, ...], odd: Any) -> Preset | None:
    """The preset with one value replaced; ``None`` where it is refused."""
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    try:
        return parse_preset(tomlkit.dumps(changed(data, way, odd)), "x.toml")
    except MiTuiError as error:
        said = str(error)
    assert said.startswith("x.toml")
    assert len(said.splitlines()) == 1
    return None


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=st.sampled_from(CASES), odd=st.sampled_from(ODD))
def test_any_value_in_any_place_is_read_or_refused(
    case: tuple[Path, tuple[Any, ...]], odd: Any
) -> None:
    read(*case, odd)


@pytest.mark.slow
def test_each_odd_value_in_each_place_is_read_or_refused() -> None:
    outcomes = {read(*case, odd) is None for case in CASES for odd in ODD}
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"title = ", b"a." * 2000 + b"b = 1", b"t = " + b"[" * 3000, b"\x00",
     b"\xef\xbb\xbftitle = 'x'"],
)  # fmt: skip
def test_a_file_that_is_no_preset_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "theirs.toml"
    file.write_bytes(content)
    with pytest.raises(PresetError) as error:
        read_preset(file)
    assert len(str(error.value).splitlines()) == 1
    assert str(file) in str(error.value)
