"""Odd surroundings: other locales, no terminal, broken themes, hostile words, stopped studies."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mi_tui.cli import follow, main
from mi_tui.cli.console import let_streams_write_anything, need_terminal
from mi_tui.errors import MiTuiError
from mi_tui.study.control import create_study
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState, StudyView
from tests.cli.command import command
from tests.study.presets import small_preset
from tests.tui import views


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


def test_an_error_that_others_wrote_cannot_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise MiTuiError("the server said \x1b]0;owned\x07no\x9b2J")

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit):
        main.run()
    assert capsys.readouterr().err == "mi-tui: the server said no\n"


class _Running:
    """A study that goes on until it is asked to stop."""

    def __init__(self) -> None:
        self.state = StudyState.RUNNING

    def follow(self) -> Iterator[StudyView]:
        while self.state.is_active:
            yield views.view(self.state)
        yield views.view(self.state)


class _InterruptedWhileDrawing:
    """A display in which the first Ctrl-C arrives."""

    def __init__(self) -> None:
        self.shown = 0

    def __enter__(self) -> "_InterruptedWhileDrawing":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, view: StudyView) -> None:
        self.shown += 1
        if self.shown == 1:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_while_the_table_is_drawn_stops_the_study_like_any_other() -> None:
    study = _Running()

    def stop() -> None:
        study.state = StudyState.STOPPED

    seen = follow.follow(study, _InterruptedWhileDrawing(), stop)  # type: ignore[arg-type]
    assert seen.state is StudyState.STOPPED


def test_any_command_that_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("mi_tui.study.control.list_studies", interrupt)
    monkeypatch.setattr("sys.argv", ["mi-tui", "studies"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "mi-tui: stopped\n"


def test_a_stopped_study_says_the_command_that_goes_on() -> None:
    with pytest.raises(MiTuiError, match=r"mi-tui run '?/.*preset\.toml'? --study") as error:
        follow.require_ended(views.view(StudyState.STOPPED))
    assert "PRESET" not in str(error.value)


def test_what_a_worker_noted_can_be_read(tmp_path: Path) -> None:
    path = create_study(small_preset(), tmp_path / "study")
    with Store(path / "study.db") as store:
        store.log("self-check passed")
        store.log("out of \x1b[31mmemory", "error")
    (path / "worker.log").write_text("a warning of a library\n")
    done = command("log", str(path))
    first, second = done.stdout.splitlines()
    assert first.endswith("info    self-check passed")
    assert second.endswith("error   out of memory")
    assert str(path / "worker.log") in done.stderr
    found = json.loads(command("log", str(path), "--json").stdout)
    assert [line["level"] for line in found] == ["info", "error"]


def test_in_a_pipe_no_name_is_cut_and_no_failure_fills_the_page(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "a-long-name-" * 8
    path = create_study(small_preset(), studies / name)
    with Store(path / "study.db") as store:
        store.put(state="failed", message="word " * 100)
    lines = command("studies").stdout.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith(name)
