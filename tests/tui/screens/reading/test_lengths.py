"""The distribution of lengths, and flips between two λ, of a real study."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from mi_tui.study.storage.folder import StudyFolder
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.reading.case import CaseScreen
from mi_tui.tui.screens.reading.lengths import LengthsScreen
from mi_tui.tui.screens.reading.responses import ResponsesScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from tests.study.stored import stored_study
from tests.tui.driving import said, shown, until


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """MI-0 solves only the first of five problems, MI-0.6 and MI-1 all but the fourth."""
    path = stored_study(tmp_path / "study", problems=5)
    with closing(sqlite3.connect(StudyFolder(path).database)) as connection, connection:
        connection.execute("UPDATE rollouts SET score = 0 WHERE recipe = 1 AND problem > 1")
        connection.execute("UPDATE rollouts SET score = 0 WHERE recipe > 1 AND problem = 4")
        connection.execute("UPDATE rollouts SET thinking = recipe > 1")
    return path


def moved_on(app: MiTuiApp, question: str) -> bool:
    return said(app, "question") != question


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_lengths_with_thinking_and_without_stand_below_each_other(
    study: Path, size: tuple[int, int]
) -> None:
    app = MiTuiApp(start="watch", study=study)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, LengthsScreen) and "thinks" in shown(app))
        lines = shown(app).splitlines()
        thinks = next(n for n, line in enumerate(lines) if line.strip().startswith("MI-0 "))
        assert "0 % med     –" in lines[thinks]
        assert "100 % med    12" in lines[thinks + 1]
        assert any("MI-0.6" in line and "100 % med    30" in line for line in lines)
        axis = next(line for line in lines if line.strip().startswith("tokens"))
        assert axis.split() == ["tokens", "10", "20"]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen))


async def test_flips_between_two_lambda_are_gone_through_both_ways(study: Path) -> None:
    app = MiTuiApp(start="watch", study=study)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, ResponsesScreen) and "✓" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CaseScreen) and "MI-1" in shown(app))
        await pilot.press("b", *"0.6 0.6", "enter")
        await until(pilot, lambda: "two values of λ, for example 0, 1" in shown(app))
        await pilot.press("home", *["delete"] * 7, *"0, 0.61", "enter")
        await until(pilot, lambda: "3 problems flip between MI-0 and MI-0.6" in shown(app))
        seen = []
        for key in ("f", "f", "f", "F", "F"):
            before = said(app, "question")
            await pilot.press(key)
            await until(pilot, partial(moved_on, app, before))
            seen.append(said(app, "question").split()[0])
    assert seen[3] == seen[1]
    assert seen[4] == seen[0]
    assert len(set(seen[:3])) == 3
