"""One session of a study, in this process."""

from pathlib import Path

import pytest

from mi_tui.analysis.results import Recommendation
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.view import StudyState
from mi_tui.study.worker.clock import Clock
from mi_tui.study.worker.process import work
from mi_tui.study.worker.session import Session
from tests.study.presets import small_preset


def test_what_is_recommended_on_the_way_waits_for_the_first_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = create_study(small_preset(), tmp_path / "study")
    recommend, report = Session._recommend, Session._report
    recommended: list[bool] = []
    reported: list[bool] = []

    def watched(session: Session) -> Recommendation | None:
        recommended.append(session._store.in_first_round())
        return recommend(session)

    def reporting(session: Session, *, force: bool = False) -> None:
        reported.append(session._store.in_first_round())
        report(session, force=force)

    monkeypatch.setattr(Clock, "due", lambda _: True)
    monkeypatch.setattr(Session, "_recommend", watched)
    monkeypatch.setattr(Session, "_report", reporting)
    assert work(StudyFolder(path)) is StudyState.DONE
    assert any(reported)
    assert recommended
    assert not any(recommended)
