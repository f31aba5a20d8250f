"""The tour of the Python interface runs as it is printed."""

import re
from pathlib import Path

import pytest

TOUR = Path(__file__).parents[1] / "docs" / "python.md"


def blocks() -> list[tuple[int, str]]:
    """The line and the text of each block of code."""
    text = TOUR.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


def test_every_block_of_the_tour_runs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for line, block in blocks():
        # The lines in a traceback are those of the page.
        exec(compile("\n" * line + block, str(TOUR), "exec"), names)
    said = capsys.readouterr().out
    assert "λ" in said
    assert "MI-0.6" in said
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {
        "export.json",
        "preset.toml",
        "mergekit.yaml",
        "report.html",
    }
    for folder in ("merged", "merged-ffn", "row"):
        assert (tmp_path / folder / "model.safetensors").is_file()
    assert not (tmp_path / "no").exists()
