"""The console: other locales, characters it lacks, and no terminal."""

import io
import os
import subprocess
import sys

import pytest

from mi_tui.cli.console import let_streams_write_anything, need_terminal
from mi_tui.errors import MiTuiError


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_a_locale_without_lambda_is_no_error(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mi_tui", "presets", "demo"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=True,
    )
    assert done.stdout.decode(encoding).startswith("demo: valid")


def test_what_cannot_be_encoded_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    let_streams_write_anything()
    print("λ = 0.6", flush=True)
    assert raw.getvalue() == b"? = 0.6\n"


@pytest.mark.parametrize(("terminal", "term"), [(False, "xterm"), (True, "dumb")])
def test_the_app_wants_a_terminal_it_can_draw_on(
    terminal: bool, term: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    for name in ("stdin", "stderr"):
        stream = io.StringIO()
        stream.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, name, stream)
    with pytest.raises(MiTuiError, match=r"mi-tui run PRESET and mi-tui watch --plain"):
        need_terminal()
