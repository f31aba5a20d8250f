"""One small study for all tests of the interface; each may only read it."""

from pathlib import Path

import pytest

from mi_tui.api.study import Study
from tests.study.presets import small_preset


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of new studies."""
    root = tmp_path / "studies"
    monkeypatch.setenv("MI_TUI_STUDIES", str(root))
    return root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a study that has run to its end."""
    path = tmp_path_factory.mktemp("finished") / "study"
    with Study.create(small_preset(), path) as study:
        study.start().wait(timeout=300)
    return path
