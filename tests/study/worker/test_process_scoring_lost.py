"""A study whose scoring breaks in the middle: it fails with one line, and goes on once mended."""

import json
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from mi_tui.plan.preset import Preset
from mi_tui.probes.kinds.user_file import FileProbe
from mi_tui.study.control import create_study, start_worker
from mi_tui.study.reader import StudyReader
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.study.presets import small_preset
from tests.study.worker.test_process import finish, rollouts, state, stored, wait_until, worker_pid

ROOT = Path(__file__).parents[3]
BROKEN = {
    # Removed by an upgrade that did not come to its end.
    "library": ("math_verify.py", "raise ImportError('gone')", "the math scorer needs math-verify"),
    # Python itself does not come up any more.
    "process": (
        "sitecustomize.py",
        "import sys\nif any('scoring.process' in word for word in sys.orig_argv):\n"
        "    print('no space left', file=sys.stderr)\n    sys.exit(1)\n",
        "the scoring process",
    ),
}


def math_preset(folder: Path) -> Preset:
    """Sums of the user's own with the scorer that needs a library; long enough to be disturbed."""
    file = folder / "sums.jsonl"
    rows = [
        {"prompt": f"Compute {a}+{b} mod 100", "answer": str((a + b) % 100)}
        for a in range(11, 17)
        for b in range(2, 6)
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    probe = FileProbe(kind="file", path=str(file), scorer="math", held_out=0.25, max_new_tokens=160)
    return small_preset(samples=6).model_copy(update={"probes": (probe,)})


def scoring_children(worker: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == worker and b"scoring.process" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    path = create_study(math_preset(folder), folder / "study")
    assert work(StudyFolder(path)) is StudyState.DONE
    return path


@pytest.mark.parametrize("kind", BROKEN)
def test_a_study_that_cannot_score_any_more_fails_and_goes_on_once_that_is_mended(
    kind: str, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadows = tmp_path / "shadows"
    shadows.mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{shadows}{os.pathsep}{ROOT}")
    name, code, reason = BROKEN[kind]
    study = create_study(math_preset(tmp_path), tmp_path / "disturbed")
    start_worker(study)
    wait_until(lambda: stored(study) > 0, "rollouts")
    (shadows / name).write_text(code, encoding="utf-8")
    for child in scoring_children(worker_pid(study)):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: not state(study).is_active, "the study's end")
    with StudyReader(study) as reader:
        view = reader.view()
    assert view.state is StudyState.FAILED
    assert view.message.startswith("responses cannot be scored: ")
    assert reason in view.message
    assert view.message.endswith(
        "; mend that and start again: what has a score is kept, the rest is asked again"
    )
    assert "\n" not in view.message
    before = rollouts(study)
    assert 0 < len(before) < len(rollouts(undisturbed))
    assert not_scored(study) == 0

    (shadows / name).unlink()
    start_worker(study)
    finish(study)
    assert set(before) <= set(rollouts(study))
    assert rollouts(study) == rollouts(undisturbed)


def not_scored(path: Path) -> int:
    with sqlite3.connect(path / "study.db") as db:
        (count,) = db.execute("SELECT count(*) FROM rollouts WHERE score IS NULL").fetchone()
        return int(count)
