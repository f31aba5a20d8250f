"""Keys that arrive in one burst: each goes where the focus will be when it is its turn."""

from textual import events
from textual.app import App
from textual.widgets import Input

from mi_tui.plan.budget import Budget
from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.home import HomeScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def burst(app: App[str], *keys: str) -> None:
    """Let keys arrive as fast as a terminal can send them: nothing is done between two."""
    assert app._driver is not None
    for key in keys:
        character = key if len(key) == 1 else None
        app._driver.send_message(events.Key(key, character))


def value(app: App[str], id: str) -> str | None:
    """What a field of the open screen holds, once it is there."""
    return next((field.value for field in app.screen.query(f"#{id}").results(Input)), None)


async def test_a_path_a_tab_and_a_path_fill_two_fields_of_a_screen_that_is_not_open_yet() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        burst(app, "n", *"/first/instruct", "tab", *"/second/thinking")
        await until(pilot, lambda: value(app, "thinking") == "/second/thinking")
        assert value(app, "instruct") == "/first/instruct"


async def test_the_list_opens_a_form_and_what_follows_is_typed_there() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        burst(app, "enter", "a", "tab", "b", "shift+tab", "c")
        await until(pilot, lambda: value(app, "instruct") == "c")
        assert value(app, "thinking") == "b"


async def test_a_whole_study_is_set_up_by_keys_without_a_pause() -> None:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    app = MiTuiApp(start="demo", preset=views.preset(), services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.pause()
        burst(app, "enter", "tab", *"60", "enter", *"0, 1", "enter")
        await until(pilot, lambda: "MI-0.6" in shown(app))
    started = next(what for kind, what in services.asked if kind == "start")
    assert started.budget == Budget(objective="score-within-tokens", limit=60)
    assert started.search.grid == (0.0, 1.0)


async def test_a_key_whose_widget_goes_away_holds_nothing_up() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        burst(app, "n", "escape", "n", "escape", "n", "x")
        await until(pilot, lambda: value(app, "instruct") == "x")
