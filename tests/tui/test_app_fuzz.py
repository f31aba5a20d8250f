"""Random keys: the app never crashes, and Escape always leads home again."""

import random

import pytest

from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.home import HomeScreen
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices

KEYS = (
    *"abcdefghijklmnoprstvwxyG0123456789.,-/ ?",
    *("enter", "escape", "tab", "shift+tab", "space", "backspace", "delete"),
    *("up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
    *("f1", "f2", "f3", "f4", "f5", "f6", "f7", "ctrl+o", "ctrl+p"),
)
LIKELY = ("enter", "escape", "tab", "down", "d")


async def press_at_random(seed: int, presses: int) -> None:
    random_ = random.Random(seed)
    services = SteeredServices(
        views.view(StudyState.DONE, answer=views.recommendation()),
        entries=(views.entry(StudyState.DONE), views.entry(StudyState.INTERRUPTED, 2)),
    )
    app = MiTuiApp(services=services)
    async with app.run_test(size=random_.choice([(80, 24), (120, 40), (60, 15)])) as pilot:
        for _ in range(presses):
            await pilot.press(random_.choice(KEYS if random_.random() < 0.7 else LIKELY))
        for _ in range(40):
            if isinstance(app.screen, HomeScreen):
                break
            await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await until(pilot, lambda: "New study" in shown(app))


@pytest.mark.parametrize("seed", range(1))
async def test_random_keys_do_no_harm(seed: int) -> None:
    await press_at_random(seed, 100)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
async def test_many_random_keys_do_no_harm(seed: int) -> None:
    await press_at_random(seed, 600)
