"""The study of the Python interface on a real one of the bundled pair."""

import itertools
import json
import os
from dataclasses import FrozenInstanceError, replace
from html import escape
from pathlib import Path

import pytest

from mi_tui.api.rollouts import Rollout
from mi_tui.api.study import Study, StudyFailedError, WaitedTooLongError
from mi_tui.api.table import TableError
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import BudgetError, parse_budget
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.toml import PresetError, write_preset
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.kinds.user_file import FileProbe
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.lock import acquire
from mi_tui.study.storage.store import Store
from mi_tui.study.view import Progress, StudyState
from tests.study.presets import small_preset


def test_a_study_is_made_of_a_preset_its_file_or_its_name(tmp_path: Path, studies: Path) -> None:
    write_preset(small_preset(), tmp_path / "small.toml")
    for source in (small_preset(), tmp_path / "small.toml", str(tmp_path / "small.toml"), "demo"):
        with Study.create(source) as study:
            assert study.path.parent == studies
            assert study.state is StudyState.NEW
            assert study.preset.title == ("Demo" if source == "demo" else "Small")
    with pytest.raises(PresetError, match="no preset"):
        Study.create("no such preset")
    assert len(list(studies.iterdir())) == 4


def test_a_pair_that_does_not_fit_makes_no_directory(tmp_path: Path) -> None:
    preset = small_preset()
    pair = preset.pair.model_copy(update={"thinking": str(tmp_path)})
    with pytest.raises(MiTuiError):
        Study.create(preset.model_copy(update={"pair": pair}), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_file_of_problems_that_cannot_be_read_makes_no_directory(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "p"}\n' * 5)
    for name, told in (("gone.jsonl", "no such file"), ("bad.jsonl", "row 3.*and 2 more rows")):
        probe = FileProbe(kind="file", path=str(tmp_path / name))
        preset = small_preset().model_copy(update={"probes": (probe,)})
        with pytest.raises(ProbeError, match=told):
            Study.create(preset, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_finished_study_says_what_it_found(finished: Path) -> None:
    with Study.load(finished) as study:
        assert study.state is StudyState.DONE
        assert study.progress.rollouts == study.progress.planned
        table = study.table()
        assert [row.label for row in table] == ["MI-0", "MI-0.6", "MI-1"]
        assert table[1] is table["MI-1"]
        assert table[1].score.low <= table[1].score.value <= table[1].score.high
        answer = study.recommend("tokens<=60")
        assert answer == study.recommend(parse_budget("tokens<=60"))
        assert answer.lambda_low <= answer.lambda_ <= answer.lambda_high
        assert study.recommend("tokens<=1").feasible is False
        assert escape(answer.sentence) in answer._repr_html_()
        with pytest.raises(BudgetError):
            study.recommend("as cheap as it gets")


def test_rollouts_are_all_that_is_stored(finished: Path) -> None:
    with Study.load(finished) as study:
        rollouts = list(study.rollouts())
        assert len(rollouts) == study.store.totals()[0]
        places = {(r.recipe, r.probe, r.problem, r.sample) for r in rollouts}
        assert len(places) == len(rollouts)
        problems = {problem.id: problem for problem in study.problems()}
        for r in rollouts:
            assert r.prompt == problems[r.problem].messages[-1]["content"]
            assert r.expected == problems[r.problem].answer
            assert r.held_out == (problems[r.problem].split == "held-out")
            assert (r.score == 1.0) == (r.answer == r.expected and r.finish == "stop")
        assert len({r.seed for r in rollouts}) == len({(r.problem, r.sample) for r in rollouts})
        row = study.table()[0.6]
        mine = [r for r in study.rollouts(0.6) if not r.held_out]
        assert sum(r.tokens for r in mine) / len(mine) == pytest.approx(row.tokens.value)
        assert mine == [r for r in study.rollouts("MI-0.6") if not r.held_out]
        with pytest.raises(TableError, match="MI-1"):
            study.rollouts(0.3)


def test_rollouts_are_read_piece_by_piece(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = Store.rollouts_after

    def counted(store: Store, after: int, limit: int) -> object:
        asked.append(limit)
        return read(store, after, limit)

    monkeypatch.setattr(Store, "rollouts_after", counted)
    monkeypatch.setattr("mi_tui.api.rollouts._AT_ONCE", 5)
    with Study.load(finished) as study:
        first = list(itertools.islice(study.rollouts(), 3))
        assert asked == [5]
        assert first == list(study.rollouts())[:3]


def test_a_rollout_is_frozen_and_shown_in_one_line(finished: Path) -> None:
    with Study.load(finished) as study:
        rollout = next(study.rollouts())
    assert isinstance(rollout, Rollout)
    with pytest.raises(FrozenInstanceError):
        rollout.score = 2.0  # type: ignore[misc]
    hostile = replace(rollout, response="\x1b[2J\n" * 100)
    assert "\x1b" not in repr(hostile)
    assert "\n" not in repr(hostile)
    assert len(repr(hostile)) < 300


def test_what_is_asked_of_no_worker_does_not_wait_for_one(finished: Path) -> None:
    with Study.load(finished) as study:
        study.pause().stop()
        assert study.store.open_requests() == []


def test_wishes_reach_a_running_worker(tmp_path: Path) -> None:
    preset = small_preset(problems=64, samples=8)
    with Study.create(preset, tmp_path / "study") as study:
        study.start()
        try:
            with pytest.raises(MiTuiError, match="a worker is running"):
                study.start()
            with pytest.raises(WaitedTooLongError, match="has not ended"):
                study.wait(timeout=0.0)
            _follow_until(study, StudyState.RUNNING)
            study.pause()
            _follow_until(study, StudyState.PAUSED)
            study.resume()
            _follow_until(study, StudyState.RUNNING)
        finally:
            study.stop().wait(timeout=120)
        assert study.state is StudyState.STOPPED
        study.resume()  # without a worker, that starts one
        _follow_until(study, StudyState.RUNNING)
        study.stop().wait(timeout=120)


def _follow_until(study: Study, state: StudyState) -> None:
    for view in study.follow(timeout=120):
        if view.state is state:
            return
    raise AssertionError(f"the study ended {study.state}: {study.view().message}")


def _written(study: Study, **facts: str) -> None:
    """What a worker would have written: a study itself only reads."""
    with Store(study.folder.database) as store:
        store.put(**facts)


def test_waiting_tells_why_a_study_failed(tmp_path: Path) -> None:
    with Study.create(small_preset(), tmp_path / "study") as study:
        with pytest.raises(StudyFailedError, match="never started"):
            study.wait()
        _written(study, state="failed", message="out of memory")
        with pytest.raises(StudyFailedError, match="out of memory"):
            study.wait()
        _written(study, state="running")  # and no worker holds the lock
        with pytest.raises(StudyFailedError, match="the worker is gone"):
            study.wait()
        lock = acquire(study.folder.lock)
        told: list[Progress] = []
        with pytest.raises(TimeoutError):
            study.wait(timeout=0.0, progress=told.append)
        assert len(told) == 1
        os.close(lock)


def test_exports_and_merges_of_a_row(finished: Path, tmp_path: Path) -> None:
    with Study.load(finished) as study:
        (path,) = study.export(tmp_path / "out", ["json"], budget="tokens<=1")
        found = json.loads(path.read_text())["recommendation"]
        assert found["budget"]["limit"] == 1
        with pytest.raises(MiTuiError, match="mergekit"):
            study.export(tmp_path / "out", ["word"])
        manifest = study.merge(0.6, tmp_path / "row")
        assert manifest.recipe == study.table()[0.6].recipe.model_dump(mode="json", by_alias=True)
        with pytest.raises(TableError):
            study.merge(0.55, tmp_path / "other")


def test_ablations_and_comparisons(finished: Path) -> None:
    with Study.load(finished) as study:
        preset = study.ablation("modules", lambda_=0.6, quick=True)
        assert preset.pair == study.preset.pair
        assert len(preset.recipes) > 1
        with pytest.raises(StudyError, match="layers-modules"):
            study.ablation("colours")
        assert study.comparison("MI-1").reference.recipe.lambda_ == 1.0
        assert study.layer_groups() is None


def test_it_is_shown_briefly_and_escaped(finished: Path, tmp_path: Path) -> None:
    with Study.load(finished) as study:
        assert repr(study) == "<Study study: done>"
        shown = study._repr_html_()
    assert "MI-0.6" in shown
    assert repr(study) == "<Study study: closed>"
    title = "<script>alert(1)</script>"
    with Study.create(small_preset().model_copy(update={"title": title})) as hostile:
        _written(hostile, state="failed", message="<img src=x>")
        assert "<script" not in hostile._repr_html_()
        assert "<img" not in hostile._repr_html_()
        assert "&lt;img" in hostile._repr_html_()


def test_a_recipe_that_was_never_asked_has_no_rollouts(finished: Path) -> None:
    with Study.load(finished) as study:
        assert list(study.rollouts(interpolation(0.123))) == []
