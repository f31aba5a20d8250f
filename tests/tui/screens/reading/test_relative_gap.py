"""σ on request: measured behind the screen, cancelled by leaving, kept for the Scope step."""

from typing import Any

import pytest
from textual.pilot import Pilot

from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.errors import MiTuiError
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.reading.relative_gap import SigmaScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.studies.services import Services
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


async def open_sigma(pilot: Pilot[Any]) -> None:
    app = pilot.app
    await until(pilot, lambda: "✓ architecture" in shown(app))
    await pilot.press("f4")
    await until(pilot, lambda: isinstance(app.screen, SigmaScreen))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_demo_pair_is_measured_for_real(size: tuple[int, int]) -> None:
    app = MiTuiApp(start="demo", preset=views.preset(), services=Services())
    async with app.run_test(size=size) as pilot:
        await open_sigma(pilot)
        await until(pilot, lambda: "layer  3" in shown(app), tries=1000)
        text = shown(app)
        assert "σ = 0.0" in text
        assert "FFN" in text
        assert "██" in text


async def test_leaving_ends_the_measuring_and_quitting_is_not_held_up() -> None:
    services = SteeredServices()
    services.may_measure.clear()
    app = MiTuiApp(start="demo", preset=views.preset(), services=services)
    async with app.run_test() as pilot:
        await open_sigma(pilot)
        await until(pilot, lambda: "25 %" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await until(pilot, lambda: services.last[0] == "gap cancelled")
        assert services.known_gap(views.preset().pair) is None


async def test_what_was_measured_is_not_measured_again() -> None:
    services = SteeredServices()
    app = MiTuiApp(start="demo", preset=views.preset(), services=services)
    async with app.run_test() as pilot:
        await open_sigma(pilot)
        await until(pilot, lambda: "0.0269" in shown(app))
        await pilot.press("escape")
        services.may_measure.clear()
        await open_sigma(pilot)
        await until(pilot, lambda: "0.0269" in shown(app))


async def test_what_goes_wrong_is_one_line() -> None:
    services = SteeredServices()
    services.gap_error = MiTuiError("σ reads the weights, and those of a/b are not on this machine")
    app = MiTuiApp(start="demo", preset=views.preset(), services=services)
    async with app.run_test() as pilot:
        await open_sigma(pilot)
        await until(pilot, lambda: "✗ σ reads the weights" in shown(app))


async def test_a_pair_that_does_not_fit_is_not_measured() -> None:
    services = SteeredServices()
    services.preflight_lines = (Finding("error", "layers", "36 against 48"),)
    app = MiTuiApp(start="demo", preset=views.preset(), services=services)
    async with app.run_test(notifications=True, size=(120, 40)) as pilot:
        await until(pilot, lambda: "✗ layers" in shown(app))
        await pilot.press("f4")
        await until(pilot, lambda: "do not fit together" in shown(app))
        assert isinstance(app.screen, ModelsScreen)
