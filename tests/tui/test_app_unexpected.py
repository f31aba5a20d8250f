"""An error that nobody expected ends the app in one line, with 70, and leaves the terminal sane."""

import re
import sys
from pathlib import Path

import pytest

from tests.study.stored import stored_study
from tests.terminal import Terminal

FAULTS = {
    "as the first screen is mounted": "HomeScreen.on_mount = fail",
    "at a key": "HomeScreen.action_demo = fail",
    "while a screen is drawn": "HomeScreen.render_lines = fail",
    "in the thread that lists studies": "Services.studies = fail",
    "in a task of a screen": "HomeScreen._read_studies = fail_later",
    "in the thread that reads a study": "Services.reader = fail",
    "in a thread, as a library's panic": "fault = Panic; Services.studies = fail",
}

START = """
import sys
from mi_tui.tui.screens.home import HomeScreen
from mi_tui.tui.studies.services import Services
fault = RuntimeError
class Panic(BaseException):  # as of pyo3, whose Rust libraries read tokenizers and weights
    pass
def fail(*_, **__):
    raise fault('planted\\n\\x1b[31mfault')
async def fail_later(*_, **__):
    fail()
{fault}
sys.argv = ['mi-tui', *sys.argv[1:]]
from mi_tui.cli.main import run
run()
"""


@pytest.mark.parametrize("where", FAULTS)
def test_an_unexpected_error_ends_the_app_in_one_line(tmp_path: Path, where: str) -> None:
    environment = {"MI_TUI_STUDIES": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    command: tuple[str, ...] = ()
    if where == "in the thread that reads a study":
        command = ("watch", str(stored_study(tmp_path / "study")))
    program = (sys.executable, "-c", START.format(fault=FAULTS[where]), *command)
    with Terminal(program, environment=environment) as terminal:
        if where == "at a key":
            terminal.wait_for("New study")
            terminal.press("d")
        assert terminal.wait_until_ended() == 70
    # What follows the way back to the user's own screen.
    left = bytes(terminal.written).rpartition(b"\x1b[?1049l")[2].decode()
    (said,) = filter(None, map(str.strip, re.sub(r"\x1b\[[?>=<\d;]*\w", "", left).splitlines()))
    kind = "RuntimeError: Panic" if "panic" in where else "RuntimeError"
    assert said == f"mi-tui: unexpected {kind}: planted fault (--debug shows where)"


def test_debug_shows_where(tmp_path: Path) -> None:
    environment = {"MI_TUI_STUDIES": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    fault = FAULTS["as the first screen is mounted"]
    program = (sys.executable, "-c", START.format(fault=fault), "--debug")
    with Terminal(program, environment=environment, lines=200) as terminal:
        assert terminal.wait_until_ended() != 0
        assert "Traceback" in terminal.text
