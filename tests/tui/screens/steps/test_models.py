"""The Models step: the likely partner is one key away."""

from textual.widgets import Input

from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.steps.models import ModelsScreen
from tests.tui.driving import until
from tests.tui.services import SteeredServices


async def test_right_takes_the_likely_partner() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press(*"a/B-Instruct", "tab", "right")
        await pilot.pause()
        assert app.screen.query_one("#thinking", Input).value == "a/B-Thinking"
