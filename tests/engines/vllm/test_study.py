"""A whole study with ``kind = "vllm"``: as with the transformers engine, up to sampling error."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from mi_tui.analysis.observations import Observations
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.preset import Preset
from mi_tui.study.control import create_study, start_worker
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.lock import is_held
from mi_tui.study.storage.observation_loader import ObservationLoader
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from tests.engines.vllm.test_orphans import lives
from tests.study.presets import small_preset

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

_PATIENCE_SECONDS = 600.0
_STANDARD_ERRORS = 4.0


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def finish(preset: Preset, path: Path) -> Observations:
    folder = create_study(preset, path)
    start_worker(folder)
    with StudyReader(folder) as reader:
        wait_until(lambda: not reader.view().state.is_active)
        view = reader.view()
    assert view.state is StudyState.DONE, view.message
    with Store(folder / "study.db") as store:
        return ObservationLoader(store).load()


def means(found: Observations, values: str) -> NDArray[np.float64]:
    """The mean of a column for each λ of the grid and each problem of the search."""
    column = getattr(found, values).astype(float)
    searched = [at for at, row in enumerate(found.problems) if not row.held_out]
    return np.array(
        [
            [column[(found.recipe == recipe) & (found.problem == at)].mean() for at in searched]
            for recipe in range(3)
        ]
    )


def test_the_same_study_as_with_transformers(tmp_path: Path) -> None:
    preset = small_preset(problems=32, samples=3)
    plan = EnginePlan(kind="vllm", threads=1, batch=64)
    ours = finish(preset.model_copy(update={"engine": plan}), tmp_path / "vllm")
    plain = finish(preset, tmp_path / "transformers")
    assert ours.recipes[:3] == plain.recipes[:3]
    for column in ("score", "tokens", "thinking"):
        apart = means(ours, column) - means(plain, column)
        error = apart.std(axis=1, ddof=1) / np.sqrt(apart.shape[1])
        assert (np.abs(apart.mean(axis=1)) <= _STANDARD_ERRORS * error + 1e-9).all(), column


def test_a_killed_worker_leaves_neither_processes_nor_the_lock(tmp_path: Path) -> None:
    preset = small_preset(problems=200, samples=8)
    plan = EnginePlan(kind="vllm", threads=1, batch=4)
    folder = create_study(preset.model_copy(update={"engine": plan}), tmp_path / "killed")
    start_worker(folder)
    with Store(folder / "study.db") as store:
        wait_until(lambda: store.totals()[0] > 0)
        worker = psutil.Process(int(store.get("worker")["pid"]))
    children = worker.children(recursive=True)
    assert children
    worker.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(lives, children)))
    wait_until(lambda: not is_held(StudyFolder(folder).lock))
