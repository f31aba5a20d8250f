"""Probes, strata and flips on a screen, and the flips among the cases."""

from typing import Any

from textual.pilot import Pilot

from mi_tui.study.view import Breakdown, StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.reading.breakdown import BreakdownScreen
from mi_tui.tui.screens.reading.case import CaseScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


async def opened(pilot: Pilot[Any]) -> None:
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, BreakdownScreen))


def watching() -> tuple[SteeredServices, MiTuiApp]:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    return services, MiTuiApp(start="watch", study=services.view.path, services=services)


async def test_flips_and_tables_are_shown_and_lead_to_the_case() -> None:
    _, app = watching()
    async with app.run_test(size=(100, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "Flips of MI-0.6" in shown(app))
        assert "vs MI-0" in shown(app)
        for _ in range(30):
            await pilot.press("j")
        await until(pilot, lambda: "arithmetic · 2 operations · 32 problems" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CaseScreen))
        await until(pilot, lambda: "from MI-0 (25 % of 4, 1 not scored) fixed" in shown(app))
        assert "0002" in shown(app)
        await pilot.press("n")
        await until(pilot, lambda: "from MI-0 (100 % of 4) always" in shown(app))
        await pilot.press("f")
        await until(pilot, lambda: "0002" in shown(app) and "fixed" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BreakdownScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen))


async def test_without_a_recommendation_nothing_flips() -> None:
    services, app = watching()
    services.breakdown = Breakdown(views.breakdown().groups)
    services.view = views.view(StudyState.RUNNING)
    async with app.run_test(size=(100, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "known once a λ is recommended" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: [n.message for n in app._notifications] == ["No problem flips."])
        assert isinstance(app.screen, BreakdownScreen)
