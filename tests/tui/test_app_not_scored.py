"""What could not be scored, on the screens of a real study: counted, warned of, decisive."""

import sqlite3
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from mi_tui.study.reader import StudyReader
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.reading.responses import ResponsesScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.screens.steps.recommend import RecommendScreen
from tests.study.stored import stored_study
from tests.tui.driving import shown, until

REASON = "scorer crashed: KeyError: 'kwargs'"


def study_without(path: Path, responses: int) -> Path:
    """54 responses, of which some of the second λ have no score."""
    stored_study(path)
    with sqlite3.connect(path / "study.db") as db:
        db.execute(
            """UPDATE rollouts SET score = NULL, failure = ? WHERE id IN (
                 SELECT id FROM rollouts WHERE recipe = 2 ORDER BY id DESC LIMIT ?)""",
            (REASON, responses),
        )
    return path


def said(app: MiTuiApp) -> str:
    """The screen's words, however the lines are broken."""
    return " ".join(shown(app).split())


async def recommend_screen(pilot: Pilot[Any]) -> None:
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, RecommendScreen))


async def test_the_table_marks_and_counts_them(tmp_path: Path) -> None:
    app = MiTuiApp(start="watch", study=study_without(tmp_path / "s", 2))
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        lines = [line.partition("│")[0].split() for line in shown(app).splitlines()]
    heads = next(line for line in lines if line[:1] == ["Recipe"])
    assert "N. s." in " ".join(heads)
    rows = {line[0]: " ".join(line) for line in lines if line and line[0].startswith("MI-")}
    assert {name: "!" in row for name, row in rows.items()} == {
        "MI-0": False,
        "MI-0.6": True,
        "MI-1": False,
    }
    assert "% – 2 " in rows["MI-0.6"]
    assert "% – 0 " in rows["MI-1"]


async def test_responses_without_a_score_say_why(tmp_path: Path) -> None:
    app = MiTuiApp(start="watch", study=study_without(tmp_path / "s", 17))
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await pilot.press("g", "down", "v")
        await until(pilot, lambda: isinstance(app.screen, ResponsesScreen))
        await until(pilot, lambda: f"not scored: {REASON}" in said(app))


async def test_more_than_one_in_a_hundred_is_warned_of(tmp_path: Path) -> None:
    path = study_without(tmp_path / "s", 1)
    app = MiTuiApp(start="watch", study=path)
    async with app.run_test(size=(200, 50)) as pilot:
        await recommend_screen(pilot)
        await until(pilot, lambda: "could not be scored and are left out" in said(app))
        assert "answers “highest score within" in said(app)
    with StudyReader(path) as reader:
        answer = reader.recommend()
    assert answer.recommended
    assert answer.not_scored == 1 / 54
    assert "1.9 % of the responses could not be scored and are left out" in answer.sentence


async def test_with_more_than_one_in_twenty_nothing_is_recommended(tmp_path: Path) -> None:
    path = study_without(tmp_path / "s", 3)
    app = MiTuiApp(start="watch", study=path)
    async with app.run_test(size=(200, 50)) as pilot:
        await recommend_screen(pilot)
        await until(pilot, lambda: "nothing is recommended: 5.6 % of the responses" in said(app))
        assert "answers “" not in said(app)
    with StudyReader(path) as reader:
        answer = reader.recommend()
    assert not answer.recommended


async def test_up_to_one_in_a_hundred_is_only_counted(tmp_path: Path) -> None:
    path = study_without(tmp_path / "s", 0)
    app = MiTuiApp(start="watch", study=path)
    async with app.run_test(size=(200, 50)) as pilot:
        await recommend_screen(pilot)
        await until(pilot, lambda: "answers “highest score within" in said(app))
        assert "could not be scored" not in said(app)
