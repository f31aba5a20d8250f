"""Presets: strict reading, one-line errors, comments kept on writing."""

from pathlib import Path

import pytest

from mi_tui.plan.budget import Budget
from mi_tui.plan.library import find_preset, list_presets
from mi_tui.plan.toml import PresetError, parse_preset, read_preset, write_preset

TEXT = """\
# mine
title = "Small"  # shown in lists

[pair]
instruct = "a"
thinking = "b"

[[probes]]
kind = "arithmetic"
problems = 8  # few

[search]
grid = [0, 0.5, 1]
"""


def test_every_bundled_preset_is_valid() -> None:
    entries = list_presets()
    assert [entry.problem for entry in entries] == [""] * len(entries)
    assert "demo" in [entry.name for entry in entries]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("title =", "titel =", "unknown key titel, allowed are budget, decoding"),
        ("problems =", "problem =", "problem, allowed are held_out, kind"),
        ("[0, 0.5, 1]", "[0, 1.5]", "search.grid.1 = 1.5: input should be less than or equal to 1"),
        ("[0, 0.5, 1]", '[0, "0.5"]', 'search.grid.1 = "0.5": input should be a valid number'),
        ("problems = 8", 'problems = "8"', "input should be a valid integer"),
        ('instruct = "a"\n', "", "pair.instruct is missing"),
        ('kind = "arithmetic"', 'kind = "maths"', "kind"),
        ('kind = "arithmetic"\n', "", "probes.0.kind is missing"),
        ("[search]", "[search", "not valid TOML"),
        ("grid", "samples = 0\ngrid", "search.samples = 0: input should be greater than"),
        ("grid", "max_minutes = inf\ngrid", "search.max_minutes"),
        ("title =", "recipes = 5\ntitle =", "recipes = 5: input should be a valid array"),
        ("title =", 'description = "a \\u001b[31m"\ntitle =', "description holds control char"),
        ("title =", '"a\\u0007" = 1\ntitle =', "a key holds control characters"),
        ('instruct = "a"', 'instruct = "a\\nb"', "instruct must be one line"),
        ('instruct = "a"', 'instruct = "a\\u202eb"', "instruct holds control characters or hidden"),
        ('title = "Small"', 'title = "a\\u2028b"', "title"),
    ],
)
def test_a_broken_preset_is_one_line_with_file_key_and_what_is_allowed(
    old: str, new: str, says: str
) -> None:
    with pytest.raises(PresetError) as error:
        parse_preset(TEXT.replace(old, new, 1), "small.toml")
    message = str(error.value)
    assert message.startswith("small.toml")
    assert says in message
    assert "\n" not in message


def test_a_missing_preset_names_those_that_may_be_meant() -> None:
    with pytest.raises(PresetError, match=r"no preset 'demmo': did you mean demo\?"):
        find_preset("demmo")
    with pytest.raises(PresetError, match=r"no preset 'xyz': give a \.toml file or a name"):
        find_preset("xyz")


@pytest.mark.parametrize("reference", ["~nobody-of-this-name/a", "a" * 300])
def test_no_name_is_too_odd_for_one_line(reference: str) -> None:
    with pytest.raises(PresetError, match="no preset"):
        find_preset(reference)


def test_a_file_that_is_not_text_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'title = "\xe9"')
    with pytest.raises(PresetError, match=r"cannot keep the comments of .*latin\.toml"):
        write_preset(parse_preset(TEXT, "small.toml"), path)
    assert path.read_bytes() == b'title = "\xe9"'


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PresetError, match=r"binary\.toml"):
        read_preset(path)


def test_writing_keeps_comments_and_unchanged_lines(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    preset = read_preset(path)
    budget = Budget(objective="score-within-tokens", limit=80)
    changed = preset.model_copy(update={"budget": budget})
    write_preset(changed, path)
    text = path.read_text()
    for line in TEXT.splitlines():
        assert line in text
    assert read_preset(path) == changed


def test_a_value_put_back_to_its_default_is_written_back(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    preset = read_preset(path)
    probe = preset.probes[0].model_copy(update={"problems": 16})
    write_preset(preset.model_copy(update={"probes": (probe,)}), path)
    assert read_preset(path).probes[0].problems == 16
    assert "# few" in path.read_text()


def test_every_bundled_preset_survives_writing(tmp_path: Path) -> None:
    for entry in list_presets():
        path = tmp_path / f"{entry.name}.toml"
        assert entry.preset is not None
        write_preset(entry.preset, path)
        assert read_preset(path) == entry.preset


def test_mapped_columns_are_written_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    probe = 'kind = "file"\npath = "rows.csv"\ncolumns = { prompt = "question" } # theirs\n'
    path.write_text(TEXT.replace('kind = "arithmetic"\n', probe))
    preset = read_preset(path)
    write_preset(preset, path)
    assert probe in path.read_text()
    again = tmp_path / "again.toml"
    write_preset(preset, again)
    assert read_preset(again) == preset
    assert getattr(preset.probes[0], "columns", None) == {"prompt": "question"}


def test_a_description_may_have_lines(tmp_path: Path) -> None:
    told = parse_preset(TEXT.replace("title", 'description = "one\\ntwo"\ntitle', 1), "small.toml")
    assert told.description == "one\ntwo"
    write_preset(told, tmp_path / "again.toml")
    assert read_preset(tmp_path / "again.toml") == told


def test_a_preset_is_not_written_through_a_planted_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path = tmp_path / "mine.toml"
    (tmp_path / "mine.toml.part").symlink_to(precious)
    write_preset(parse_preset(TEXT, "small.toml"), path)
    assert precious.read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.toml", "precious"]


def test_paths_beside_the_preset_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not lie there stays as it was: a hub id, or a path from the working directory."""
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "models" / "a").mkdir(parents=True)
    (here / "b").mkdir(parents=True)
    (there / "rows.jsonl").write_text("{}")
    text = TEXT.replace('"a"', '"models/a"').replace('kind = "arithmetic"', 'kind = "file"')
    text = text.replace("problems = 8  # few", 'path = "rows.jsonl"')
    (there / "study.toml").write_text(text)
    monkeypatch.chdir(here)
    found = read_preset(there / "study.toml")
    assert found.pair.instruct == str(there / "models" / "a")
    assert found.pair.thinking == "b"
    assert getattr(found.probes[0], "path", None) == str(there / "rows.jsonl")
    (there / "study.toml").write_text(text.replace('"models/a"', '"owner/name"'))
    assert read_preset(there / "study.toml").pair.instruct == "owner/name"


@pytest.mark.parametrize("value", ["nan", "inf", "[1]", "{a = 1}"])
def test_a_template_setting_that_no_server_takes_is_refused(value: str) -> None:
    setting = f'thinking = "b"\nchat_template_kwargs = {{ enable = {value} }}'
    with pytest.raises(PresetError, match="enable must be text, a finite number, true or false"):
        parse_preset(TEXT.replace('thinking = "b"', setting), "mine")
