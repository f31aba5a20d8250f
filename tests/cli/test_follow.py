"""Following a study in plain lines: every number with its name, nothing drawn over."""

import io
import signal
from collections.abc import Iterator

import pytest
from rich.console import Console

from mi_tui.cli import follow
from mi_tui.cli.follow import PlainDisplay, print_result
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import interpolation
from mi_tui.study.view import StudyState, StudyView
from tests.tui import views


def printed(buffer: io.StringIO) -> list[str]:
    return buffer.getvalue().splitlines()


def console(buffer: io.StringIO) -> Console:
    return Console(file=buffer, width=400, highlight=False)


def test_the_table_is_read_as_sentences() -> None:
    buffer = io.StringIO()
    answer = views.recommendation(recipe=interpolation(0.6))
    shown = views.view(StudyState.DONE, answer=answer)
    print_result(shown, console(buffer), plain=True)
    first, *others = printed(buffer)
    assert first == (
        "MI-0: Stage 1, Rollouts 256, Mean@k 27.0 ± 5.0 %, Think #R 0.0 ± 1.5 %, "
        "Token #N 5 ± 0, Truncated 0.0 ± 0.5 %, Latency 0.02 ± 0.00 s"
    )
    assert [line.split(":")[0] for line in others[:6]] == [
        "MI-0.2", "MI-0.4", "MI-0.5", "MI-0.6 (recommended)", "MI-0.8", "MI-1",
    ]  # fmt: skip
    assert answer.sentence in others
    assert not {"\x1b", "─", "│"} & set(buffer.getvalue())


def test_progress_is_a_line_now_and_then_and_the_answer_a_line_when_it_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("mi_tui.cli.follow.time.monotonic", lambda: now)
    buffer = io.StringIO()
    with PlainDisplay(console(buffer)) as display:
        answer = views.recommendation()
        for _ in range(3):
            display.show(views.view(answer=answer))
        now += 6.0
        display.show(views.view(answer=answer))
        now += 6.0
        display.show(views.view(answer=views.recommendation(recipe=interpolation(0.8))))
        display.show(views.view(StudyState.DONE, message="done"))
    lines = printed(buffer)
    assert [line.startswith("so far") for line in lines] == [
        False, True, False, False, True, False,
    ]  # fmt: skip
    assert lines[0].startswith("running: coarse grid · 75 % · 1,792/2,400 rollouts · ")
    assert lines[-1] == "done: done"


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


def test_a_stopped_study_says_the_command_that_goes_on() -> None:
    with pytest.raises(MiTuiError, match=r"mi-tui run '?/.*preset\.toml'? --study") as error:
        follow.require_ended(views.view(StudyState.STOPPED))
    assert "PRESET" not in str(error.value)
    assert error.value.exit_code == 130, "as README says of Ctrl-C"
