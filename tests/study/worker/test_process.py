"""Nothing is lost: a worker killed with -9, a closed terminal, pause, stop, a second worker."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mi_tui.plan.toml import write_preset
from mi_tui.study.control import create_study, request, start_worker, state_of
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.errors import StudyBusyError
from mi_tui.study.storage.facts import stored_state
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.lock import is_held
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.study.presets import small_preset
from tests.terminal import MI_TUI, Terminal

PATIENCE_SECONDS = 300.0


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "studies"
    monkeypatch.setenv("MI_TUI_STUDIES", str(root))
    return root


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.1)


def stored(path: Path) -> int:
    with Store(path / "study.db") as store:
        return store.totals()[0]


def state(path: Path) -> StudyState:
    with Store(path / "study.db") as store:
        return state_of(StudyFolder(path), stored_state(store))


def finish(path: Path) -> None:
    wait_until(lambda: not state(path).is_active, "the study's end")
    with StudyReader(path) as reader:
        view = reader.view()
    assert view.state is StudyState.DONE, view.message


def worker_pid(path: Path) -> int:
    with Store(path / "study.db") as store:
        return int(store.get("worker")["pid"])


def kill_worker(path: Path) -> None:
    os.kill(worker_pid(path), signal.SIGKILL)
    wait_until(lambda: not is_held(StudyFolder(path).lock), "the lock's release")


def rollouts(path: Path) -> list[tuple[object, ...]]:
    """Everything about the rollouts but when they were made, in a fixed order."""
    with sqlite3.connect(path / "study.db") as db:
        return db.execute(
            """SELECT c.key, p.name, r.sample, r.seed, r.score, r.tokens, r.thinking, r.answer,
                      t.body
               FROM rollouts r JOIN recipes c ON c.id = r.recipe
               JOIN problems p ON p.id = r.problem JOIN texts t ON t.rollout = r.id
               ORDER BY c.key, p.name, r.sample"""
        ).fetchall()


def table(path: Path) -> list[object]:
    """The results and the answer, but for seconds: each study measures its own speed."""
    with StudyReader(path) as reader:
        view, answer = reader.view(), reader.recommend()
    rows = [row.model_copy(update={"seconds": None, "seconds_p95": None}) for row in view.rows]
    return [*sorted(rows, key=lambda row: row.recipe.key), answer.lambda_, answer.score]


def test_a_killed_worker_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    preset = small_preset(problems=24, samples=4)  # long enough to be killed twice
    undisturbed = create_study(preset, tmp_path / "undisturbed")
    assert work(StudyFolder(undisturbed)) is StudyState.DONE

    killed = create_study(preset, tmp_path / "killed")
    for _ in range(2):
        had = stored(killed)
        start_worker(killed)
        wait_until(lambda had=had: stored(killed) > had, "rollouts")  # type: ignore[misc]
        kill_worker(killed)
        assert state(killed) is StudyState.INTERRUPTED
    before = rollouts(killed)
    start_worker(killed)
    finish(killed)

    after = rollouts(killed)
    assert set(before) <= set(after)
    assert after == rollouts(undisturbed)
    assert table(killed) == table(undisturbed)


def test_a_closed_terminal_does_not_end_the_study_and_once_done_it_takes_another_lambda(
    tmp_path: Path, studies: Path
) -> None:
    # Long enough to be going on still when the terminal is closed.
    write_preset(small_preset(problems=24, samples=4), tmp_path / "small.toml")
    with Terminal((*MI_TUI, "run", str(tmp_path / "small.toml"))) as terminal:
        terminal.wait_for(r"rollouts", PATIENCE_SECONDS)
        (path,) = studies.iterdir()
        at_hang_up = stored(path)
        terminal.hang_up()
    assert state(path).is_active
    finish(path)
    before = stored(path)
    assert before > at_hang_up

    recipe = small_preset().recipe(0.3)
    request(path, "add", recipe=recipe.model_dump(mode="json", by_alias=True))
    start_worker(path)
    finish(path)
    assert stored(path) > before
    with StudyReader(path) as reader:
        assert "MI-0.3" in [row.recipe.label for row in reader.view().rows]


def test_pause_resume_and_stop_are_requests(tmp_path: Path) -> None:
    path = create_study(small_preset(problems=24, samples=4), tmp_path / "study")
    start_worker(path)
    wait_until(lambda: state(path) is StudyState.RUNNING, "running")
    request(path, "pause")
    wait_until(lambda: state(path) is StudyState.PAUSED, "the pause")
    with pytest.raises(StudyBusyError, match="mi-tui watch"):
        start_worker(path)
    request(path, "resume")
    wait_until(lambda: state(path) is StudyState.RUNNING, "running again")
    request(path, "stop")
    wait_until(lambda: state(path) is StudyState.STOPPED, "the stop")
    wait_until(lambda: not is_held(StudyFolder(path).lock), "the worker's end")


def test_a_missing_checkpoint_ends_in_one_line(tmp_path: Path) -> None:
    preset = small_preset()
    pair = preset.pair.model_copy(update={"instruct": str(tmp_path / "nowhere")})
    path = create_study(preset.model_copy(update={"pair": pair}), tmp_path / "study")
    start_worker(path)
    wait_until(lambda: not state(path).is_active, "the failure")
    with StudyReader(path) as reader:
        view = reader.view()
    assert view.state is StudyState.FAILED
    assert "nowhere" in view.message
    assert "\n" not in view.message
