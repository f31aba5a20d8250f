"""Studies and settings of the command's tests lie in folders of their own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The studies' directory."""
    root = tmp_path / "studies"
    monkeypatch.setenv("MI_TUI_STUDIES", str(root))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return root
