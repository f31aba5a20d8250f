"""A study that has ended goes on."""

import os
from pathlib import Path

import pytest

from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.until import UntilError, parse_until
from mi_tui.study.continuation import extend_study
from mi_tui.study.control import create_study
from mi_tui.study.storage.errors import StudyBusyError, StudyError
from mi_tui.study.storage.facts import Facts, keep
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.lock import acquire
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.study.presets import small_preset
from tests.study.stored import stored_study


def totals(path: Path) -> int:
    with Store(StudyFolder(path).database, reading=True) as store:
        return store.totals()[0]


def facts(path: Path) -> Facts:
    with Store(StudyFolder(path).database, reading=True) as store:
        return Facts.of(store)


def test_a_finished_study_takes_more_rollouts_also_after_a_kill(tmp_path: Path) -> None:
    path = create_study(small_preset(problems=8, samples=1), tmp_path / "study")
    folder = StudyFolder(path)
    assert work(folder) is StudyState.DONE
    had = totals(path)
    extend_study(path, parse_until("+30 rollouts"))
    looks = iter(range(10_000))
    assert work(folder, lambda: next(looks) > 3) is StudyState.STOPPED, "as after a kill"
    assert facts(path).preset.search.max_rollouts == had + 30
    assert work(folder) is StudyState.DONE
    assert totals(path) == had + 30
    assert facts(path).message == f"max_rollouts reached ({had + 30} of {had + 30})"
    assert facts(path).made_of.search.max_rollouts == 6000, "the preset stays as it was"
    assert work(folder) is StudyState.DONE, "a request is done once"
    assert totals(path) == had + 30


def test_requests_that_wait_add_up(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study")
    extend_study(path, parse_until("+10 rollouts"))
    extend_study(path, parse_until("+10 rollouts"))
    with Store(StudyFolder(path).database) as store:
        ends = [request.data["until"]["amount"] for request in store.open_requests()]
    assert ends == [totals(path) + 10, totals(path) + 20]


def test_a_budget_comes_with_it(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study")
    extend_study(path, parse_until("settled"), parse_budget("tokens<=20"))
    with Store(StudyFolder(path).database) as store:
        kinds = [request.kind for request in store.open_requests()]
        words = store.open_requests()[1].in_words({})
    assert kinds == ["budget", "extend"]
    assert words == "request extend until settled"


def test_what_cannot_go_on_is_refused_and_nothing_is_asked(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study")
    settled = parse_until("settled")
    with pytest.raises(UntilError, match="already"):
        extend_study(path, parse_until("10 rollouts"))
    with Store(StudyFolder(path).database) as store:
        keep(store, settled=True, message="the expected loss is within the tolerance")
    with pytest.raises(StudyError, match="is settled already"):
        extend_study(path, settled)
    with Store(StudyFolder(path).database) as store:
        assert store.open_requests() == []
        keep(store, state=StudyState.RUNNING)
    lock = acquire(StudyFolder(path).lock)
    try:
        with pytest.raises(StudyBusyError, match="is running: let it end"):
            extend_study(path, settled)
    finally:
        os.close(lock)
    other = Budget(objective="score-within-tokens", limit=15)
    extend_study(path, settled, other)


def test_an_ablation_settles_nothing(tmp_path: Path) -> None:
    recipe = small_preset().recipe(0.3)
    preset = small_preset().model_copy(update={"recipes": (recipe,)})
    path = create_study(preset, tmp_path / "study")
    with pytest.raises(StudyError, match="settles nothing: write"):
        extend_study(path, parse_until("settled"))
