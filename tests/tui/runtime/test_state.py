"""What the app remembers between two starts."""

from pathlib import Path

from mi_tui.tui.runtime import state


def test_remembering_survives_nonsense(tmp_path: Path) -> None:
    state.remember("theme", "x")
    assert state.remembered("theme") == "x"
    state.state_path().write_text("[1")
    assert state.remembered("theme") is None
    state.remember("theme", "y")
    assert state.remembered("theme") == "y"
