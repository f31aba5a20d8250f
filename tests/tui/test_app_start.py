"""The app's first screen, in a fresh process on a real terminal, has loaded nothing heavy."""

from pathlib import Path

from tests.terminal import MI_TUI, Terminal


def test_the_first_screen_is_drawn_without_torch(tmp_path: Path) -> None:
    environment = {"MI_TUI_STUDIES": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with Terminal(MI_TUI, environment=environment) as terminal:
        terminal.wait_for("New study")
        maps = Path(f"/proc/{terminal.process.pid}/maps").read_text()
        terminal.press("q")
        assert terminal.wait_until_ended() == 0
    assert "python" in maps
    assert "torch" not in maps
    assert "tokenizers" not in maps
