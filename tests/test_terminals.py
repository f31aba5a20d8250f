"""Real terminals of several kinds: sane screens, and nothing left behind by whatever ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mi_tui.plan.recipe import interpolation
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.records import PlannedAsk
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from tests.study.presets import small_preset
from tests.study.storage.test_store import a_probe, a_rollout
from tests.terminal import MI_TUI, Terminal
from tests.tmux import Tmux

MOUSE_ON, MOUSE_OFF = b"\x1b[?1000h", b"\x1b[?1000l"
MAIN_SCREEN = b"\x1b[?1049l"
PATIENCE_SECONDS = 120.0


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished study of two recipes."""
    for name in ("CONFIG_HOME", "STATE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path))
    for name in ("COLORTERM", "NO_COLOR", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    path = create_study(small_preset(), tmp_path / "study")
    with Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe()])
        for at in (0.0, 1.0):
            recipe = store.recipe_index(interpolation(at))
            asks = [PlannedAsk(recipe, problem, 0, 1) for problem in (0, 1, 2)]
            store.add_rollouts([a_rollout(ask) for ask in asks])
        store.put(state=StudyState.DONE, message="")
    return path


def watching(study: Path, term: str = "xterm-256color", *arguments: str) -> Terminal:
    terminal = Terminal((*MI_TUI, "watch", str(study), *arguments), environment={"TERM": term})
    terminal.wait_for(r"MI-1 ", PATIENCE_SECONDS)
    terminal.wait_for("Done", PATIENCE_SECONDS)
    return terminal


@pytest.mark.parametrize("term", ["xterm", "screen", "tmux-256color", "linux"])
def test_every_kind_of_terminal_shows_the_whole_screen(study: Path, term: str) -> None:
    with watching(study, term) as terminal:
        lines = terminal.text.splitlines()
        assert lines[0].startswith(" mi-tui  ✓ Models")
        assert "Mean@k" in terminal.text
        assert "esc Studies" in lines[23]
        truecolour = b"\x1b[38;2;" in terminal.written or b";38;2;" in terminal.written
        assert not truecolour or term != "linux"
        terminal.press("q")
        assert terminal.wait_until_ended() == 0


def test_leaving_puts_the_terminal_right(study: Path) -> None:
    with watching(study) as terminal:
        assert MOUSE_ON in terminal.written
        terminal.press("q")
        terminal.wait_until_ended()
        assert terminal.written.rindex(MOUSE_OFF) > terminal.written.rindex(MOUSE_ON)
        assert MAIN_SCREEN in terminal.written


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_puts_the_terminal_right_too(study: Path, number: signal.Signals) -> None:
    with watching(study) as terminal:
        terminal.process.kill(number)
        terminal.wait_until_ended()
        assert terminal.written.rindex(MOUSE_OFF) > terminal.written.rindex(MOUSE_ON)
        assert MAIN_SCREEN in terminal.written


LEADER = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as note:
    note.write(str(status))
"""
"""Starts the app as ``make`` does: SIGHUP reaches the leader of the session, which waits."""


def test_a_terminal_that_goes_without_a_signal_ends_the_app(study: Path, tmp_path: Path) -> None:
    note = tmp_path / "status"
    command = (sys.executable, "-c", LEADER, str(note), *MI_TUI, "watch", str(study))
    with Tmux(command, tmp_path / "tmux") as tmux:
        tmux.wait_for("Done", PATIENCE_SECONDS)
        subprocess.run(["tmux", "-S", str(tmp_path / "tmux"), "kill-server"], check=True)
        start = time.monotonic()
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < start + PATIENCE_SECONDS, "the app is still there"
        assert time.monotonic() - start < 2.0


def test_no_mouse_never_asks_for_it(study: Path) -> None:
    with watching(study, "xterm-256color", "--no-mouse") as terminal:
        terminal.press("q")
        terminal.wait_until_ended()
        assert MOUSE_ON not in terminal.written
