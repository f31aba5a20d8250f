"""The choice of a theme: seen before it is taken, and remembered."""

from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.dialogs.themes import ThemesScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from tests.tui import views
from tests.tui.driving import until
from tests.tui.services import SteeredServices


def demo(services: SteeredServices | None = None) -> MiTuiApp:
    return MiTuiApp(start="demo", preset=views.preset(), services=services or SteeredServices())


async def test_a_theme_is_seen_before_it_is_chosen_and_remembered() -> None:
    app = demo()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        app.action_change_theme()
        await until(pilot, lambda: isinstance(app.screen, ThemesScreen))
        await pilot.press("down")
        await until(pilot, lambda: app.theme == "mi-light")
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == "mi-dark")
        app.action_change_theme()
        await until(pilot, lambda: isinstance(app.screen, ThemesScreen))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
    assert MiTuiApp(services=SteeredServices()).theme == "mi-light"
    assert MiTuiApp(services=SteeredServices(), theme="mi-ansi").theme == "mi-ansi"
