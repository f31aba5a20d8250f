"""A worker that is busy in any phase hears stop and SIGTERM; one that dies says how."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mi_tui.api.study import Study
from mi_tui.study.control import create_study, request, start_worker
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.lock import is_held
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.supervisor import how_it_ended
from tests.study.presets import small_preset
from tests.study.worker.busy import busy_in

PATIENCE_SECONDS = 120.0
STOP_SECONDS = 2.0
LOAD_SECONDS = 4.0
"""What a machine that is busy with other tests may add."""

TRANSFORMERS = "mi_tui.engines.transformers"
PHASES = {
    "preflight": "mi_tui.study.preflight:require_fit",
    "probes": "mi_tui.probes.freeze:freeze",
    "scorers": "mi_tui.probes.scoring.pool:ScoringPool.require",
    "weights": f"{TRANSFORMERS}.model.pair_tensors:PairTensors.load",
    "self-check": f"{TRANSFORMERS}.engine:TransformersEngine.self_check",
    "calibration": f"{TRANSFORMERS}.engine:TransformersEngine.calibrate",
    "template": "mi_tui.engines.chat:Chat.render",
    "planning": "mi_tui.study.worker.rounds:RoundPlanner.plan",
    "generation": f"{TRANSFORMERS}.engine:TransformersEngine.step",
    "scoring": "mi_tui.probes.scoring.pool:ScoringPool.poll",
    "recommending": "mi_tui.study.worker.session:Session._recommend",
}


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))


def wait_until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """The seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def worker_pid(path: Path) -> int:
    with Store(path / "study.db") as store:
        return int(store.get("worker", {}).get("pid", 0))


def has_gone(path: Path) -> bool:
    return not is_held(StudyFolder(path).lock)


def start_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str) -> Path:
    """A study whose worker is busy in a phase."""
    preset = small_preset(problems=4, samples=1)
    path = create_study(preset.model_copy(update={"server": None}), tmp_path / "study")
    variables, mark = busy_in(tmp_path, PHASES[phase])
    with monkeypatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        start_worker(path)
    wait_until(mark.exists, phase)
    return path


def is_stopped(path: Path) -> bool:
    with Study.load(path) as study:
        return study.state is StudyState.STOPPED


@pytest.mark.parametrize(
    "phase",
    [
        phase if phase == "probes" else pytest.param(phase, marks=pytest.mark.slow)
        for phase in PHASES
    ],
)
@pytest.mark.parametrize("by", ["request", "SIGTERM"])
def test_a_worker_stops_in_every_phase(
    phase: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = start_busy(tmp_path, monkeypatch, phase)
    if by == "request":
        request(path, "stop")
    else:
        os.kill(worker_pid(path), signal.SIGTERM)
    took = wait_until(lambda: is_stopped(path), "stopped", STOP_SECONDS + LOAD_SECONDS)
    print(f"{phase}, {by}: {took:.2f} s")
    wait_until(lambda: has_gone(path), "the lock's release", LOAD_SECONDS)
    with Study.load(path) as study:
        assert study.view().message == "stopped; start it to go on"
        assert study.store.open_requests() == []


@pytest.mark.slow
def test_a_study_that_was_stopped_so_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = start_busy(tmp_path, monkeypatch, "generation")
    request(path, "stop")
    wait_until(lambda: is_stopped(path) and has_gone(path), "stopped")
    with Study.load(path) as study:
        assert study.start().wait(PATIENCE_SECONDS).state is StudyState.DONE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_says_how(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = start_busy(tmp_path, monkeypatch, "probes")
    os.kill(worker_pid(path), number)
    wait_until(lambda: has_gone(path), "the lock's release")
    with Study.load(path) as study:
        view = study.view()
        assert view.state is StudyState.INTERRUPTED
        assert f"signal {number.value}, {number.name}" in view.message
        assert "start the study again" in view.message
        assert "MiB" in view.message
        assert any(number.name in said for _, _, said in study.log())
    assert number.name in StudyFolder(path).log.read_text()


def test_every_death_has_its_words() -> None:
    assert "want of memory (signal 9" in how_it_ended(-9, 15 << 30, for_memory=True)
    assert "15 GiB" in how_it_ended(-9, 15 << 30, for_memory=True)
    assert "by hand or for want of memory" in how_it_ended(-9, 1 << 30, for_memory=False)
    assert "crashed (signal 6, SIGABRT)" in how_it_ended(-6, 1 << 30, for_memory=True)
    assert "exit status 3" in how_it_ended(3, 1 << 30, for_memory=False)
    assert "unknown" in how_it_ended(-200, 1 << 30, for_memory=False)


def process_is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("phase", ["probes", pytest.param("generation", marks=pytest.mark.slow)])
def test_a_worker_whose_study_is_deleted_ends_and_readers_are_told(
    phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = start_busy(tmp_path, monkeypatch, phase)
    pid = worker_pid(path)
    with Study.load(path) as study:
        followed = study.follow(PATIENCE_SECONDS)
        next(followed)
        shutil.rmtree(path)
        with pytest.raises(StudyError, match="moved or deleted"):
            list(followed)
    wait_until(lambda: not process_is_there(pid), "the worker's end", STOP_SECONDS + LOAD_SECONDS)
    assert not path.exists()


@pytest.mark.slow
def test_a_worker_that_generates_says_where_the_study_was_moved_to(tmp_path: Path) -> None:
    path = create_study(small_preset(problems=200, samples=8), tmp_path / "study")
    start_worker(path)

    def generates() -> bool:
        with Study.load(path) as study:
            return study.progress.rollouts > 0

    wait_until(generates, "rollouts")
    pid = worker_pid(path)
    moved = path.rename(tmp_path / "elsewhere")
    wait_until(lambda: not process_is_there(pid), "the worker's end", STOP_SECONDS + LOAD_SECONDS)
    with Study.load(moved) as study:
        assert study.state in (StudyState.FAILED, StudyState.INTERRUPTED)
        if study.state is StudyState.FAILED:
            assert "moved or deleted" in study.view().message
        assert study.progress.rollouts > 0
