"""The commands on presets and themes: a broken file is named, JSON stays JSON."""

import json
from pathlib import Path

from tests.cli.command import command


def test_a_broken_theme_is_named_and_json_stays_json(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "mi-tui" / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("name = 3\n")
    done = command("themes")
    assert "skipped: theme" in done.stderr
    assert "mine.toml" in done.stderr
    assert "skipped" not in done.stdout
    (problem,) = json.loads(command("themes", "--json").stdout)["problems"]
    assert problem["path"].endswith("mine.toml")
