"""A task of one's own file is code: neither drawing nor scoring runs it before it is allowed."""

from pathlib import Path

import pytest

from mi_tui.plan.remote_code import allow, is_allowed
from mi_tui.probes.errors import ProbeError, ScorerError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.lm_eval import LmEval, LmEvalProbe, load_task


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def task(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "sums.yaml").write_text("task: sums\nprocess_docs: !function utils.ran\n")
    (folder / "utils.py").write_text(
        f"open({str(tmp_path / 'marks')!r}, 'w').close()\ndef ran(docs):\n    return docs\n"
    )
    return folder / "sums.yaml"


@pytest.mark.parametrize("key", ["path", "task"])
def test_a_file_is_refused_before_anything_is_imported(
    task: Path, tmp_path: Path, key: str
) -> None:
    plan = LmEvalProbe.model_validate({"kind": "lm-eval", key: str(task)})
    with pytest.raises(ProbeError, match=r"utils\.py.*--trust-remote-code"):
        freeze(plan)
    with pytest.raises(ScorerError, match="--trust-remote-code"):
        load_task(LmEval().scorer_for(plan).partition(":")[2])
    assert not (tmp_path / "marks").exists()


def test_what_it_may_include_belongs_to_its_code(task: Path) -> None:
    plan = LmEvalProbe(kind="lm-eval", path=str(task))
    first = LmEval().remote_code(plan)
    assert first is not None
    assert first.files == ("sums.yaml", "utils.py")
    allow([first])
    (task.parent / "utils.py").write_text("changed = True")
    second = LmEval().remote_code(plan)
    assert second is not None
    assert is_allowed(first)
    assert not is_allowed(second)


def test_lm_evals_own_tasks_bring_no_code() -> None:
    assert LmEval().remote_code(LmEvalProbe(kind="lm-eval", task="gsm8k")) is None
