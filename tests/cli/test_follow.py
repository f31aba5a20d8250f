"""Following a study in plain lines: every number with its name, nothing drawn over."""

import io

import pytest
from rich.console import Console

from mi_tui.cli.follow import PlainDisplay, print_result
from mi_tui.plan.recipe import interpolation
from mi_tui.study.view import StudyState
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
