"""Pictures of the screens at two sizes and in two themes; kept in __snapshots__.

After a change that is meant: ``pytest tests/tui/test_snapshots.py --snapshot-update``, and look
at what changed.
"""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices

LOOKS = [((80, 24), "mi-dark"), ((120, 40), "mi-light")]
Snap = Callable[..., bool]


def app_on(step: str, theme: str) -> tuple[MiTuiApp, Callable[[Pilot[Any]], Any]]:
    """An app, and how to bring it to a step."""
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    if step in ("probe", "recommend"):
        app = MiTuiApp(start="watch", study=services.view.path, services=services, theme=theme)
    else:
        app = MiTuiApp(start="demo", preset=views.preset(), services=services, theme=theme)

    async def go(pilot: Pilot[Any]) -> None:
        if step in ("models", "budget", "scope"):
            await until(pilot, lambda: "! chat template" in shown(app))
        if step == "budget":
            await pilot.press("enter")
            await until(pilot, lambda: "Find the λ" in shown(app))
        if step == "scope":
            await pilot.press("enter", "enter")
            await until(pilot, lambda: "What is tried" in shown(app) and "layer" in shown(app))
            await until(pilot, lambda: "1,344 rollouts" in shown(app))
        if step in ("probe", "recommend"):
            await until(pilot, lambda: "MI-0.6" in shown(app) and "(100%=125)" in shown(app))
        if step == "recommend":
            await pilot.press("enter")
            await until(pilot, lambda: "λ = 0.7" in shown(app))
        await pilot.pause()

    return app, go


@pytest.mark.parametrize(("size", "theme"), LOOKS, ids=["80x24-dark", "120x40-light"])
@pytest.mark.parametrize("step", ["models", "budget", "scope", "probe", "recommend"])
def test_a_step_looks_as_it_did(
    snap_compare: Snap, step: str, size: tuple[int, int], theme: str
) -> None:
    app, go = app_on(step, theme)
    assert snap_compare(app, terminal_size=size, run_before=go)
