"""Jump mode: any field of a screen in two keys."""

from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.screens.dialogs.jump import LETTERS, JumpScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def demo(services: SteeredServices | None = None) -> MiTuiApp:
    return MiTuiApp(start="demo", preset=views.preset(), services=services or SteeredServices())


async def test_jump_goes_to_any_field_in_two_keys() -> None:
    app = demo()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        assert app.focused is not None
        assert app.focused.id == "base"
        await pilot.press("f3", "escape")
        assert app.focused.id == "base"


async def test_jump_reaches_every_field_of_the_longest_form() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(ScopeScreen(draft_of(views.preset()), SteeredServices()))
        await until(pilot, lambda: "What is tried" in shown(app) and "minutes" in shown(app))
        fields = [w.id for w in app.screen.focus_chain]
        assert len(fields) <= len(LETTERS)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press(LETTERS[fields.index("max-minutes")])
        await until(pilot, lambda: app.focused is not None and app.focused.id == "max-minutes")
