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


def test_a_preset_that_runs_code_of_its_checkpoints_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "mi-tui" / "presets"
    folder.mkdir(parents=True)
    trust = 'extends = "demo"\n[pair]\ntrust_remote_code = true\n'
    (folder / "theirs.toml").write_text(trust)
    (folder / "odd.toml").write_text('extends = "team/base"\n')
    said = command("presets").stdout
    lines = {line.split("  ")[0]: line for line in said.splitlines()}
    assert "runs code that its checkpoints bring" in lines["theirs"]
    assert "runs code" not in lines["demo"]
    assert "not valid" in lines["odd"]
    assert "extends" in lines["odd"]


def test_presets_reads_the_files_that_a_preset_names(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "2+2?", "answer": "4"}\n' * 2)
    preset = tmp_path / "mine.toml"
    preset.write_text(
        'title = "Mine"\n[pair]\ninstruct = "bundled:instruct"\nthinking = "bundled:thinking"\n'
        '[[probes]]\nkind = "file"\npath = "rows.jsonl"\nscorer = "integer"\n'
    )
    assert command("presets", str(preset)).returncode == 0
    (tmp_path / "rows.jsonl").write_text('{"prompt": "2+2?", "answer": "4"}\n{"question": "?"}\n')
    refused = command("presets", str(preset))
    assert refused.returncode == 2
    assert "rows.jsonl" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_the_mapping_that_the_error_proposes_makes_the_preset_valid(tmp_path: Path) -> None:
    rows = "".join(f"What is {n}+{n}?;{2 * n}\n" for n in range(5))
    (tmp_path / "rows.csv").write_text("question;target\n" + rows)
    preset = tmp_path / "mine.toml"
    text = (
        'title = "Mine"\n[pair]\ninstruct = "bundled:instruct"\nthinking = "bundled:thinking"\n'
        '[[probes]]\nkind = "file"\npath = "rows.csv"\nscorer = "integer"\n'
    )
    preset.write_text(text)
    refused = command("presets", str(preset))
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    proposed = refused.stderr.strip().partition("set ")[2]
    assert proposed == 'columns = { prompt = "question", answer = "target" }'
    preset.write_text(text + proposed + "\n")
    assert command("presets", str(preset)).returncode == 0
    wrong = proposed.replace("question", "Question")
    preset.write_text(text + wrong + "\n")
    assert "rows.csv has no column Question for prompt" in command("presets", str(preset)).stderr
