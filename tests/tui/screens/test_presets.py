"""Presets: grouped, filtered by typing, described, opened in the guide."""

from pathlib import Path

import pytest

from mi_tui.plan.library import PresetEntry, list_presets
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.home import HomeScreen
from mi_tui.tui.screens.presets import PresetsScreen, facts, fits, grouped
from mi_tui.tui.screens.steps.models import ModelsScreen
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices

MINE = views.preset().model_copy(update={"title": "Kept", "description": "[b]Mine[/b], kept."})
ENTRIES = (
    PresetEntry("demo", Path("/p/demo.toml"), True, views.preset()),
    PresetEntry("bad", Path("/p/bad.toml"), False, None, "bad.toml: unknown key lamda"),
    PresetEntry("mine", Path("/u/mine.toml"), False, MINE),
)


def browsing() -> tuple[MiTuiApp, SteeredServices]:
    services = SteeredServices()
    services.preset_entries = ENTRIES
    return MiTuiApp(services=services), services


def test_the_users_own_come_first_and_what_is_broken_last() -> None:
    assert list(grouped(list(ENTRIES))) == ["Yours", "Demo pair", "Not valid"]
    bundled = grouped([entry for entry in list_presets() if entry.bundled])
    assert {"Demo pair", "Qwen3-4B", "Qwen3-30B-A3B"} <= set(bundled)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", 3), ("kept", 1), ("ARITH demo", 1), ("lamda", 1), ("nothing of it", 0), ("bundled", 2)],
)
def test_every_word_typed_must_be_there(text: str, found: int) -> None:
    assert sum(fits(entry, text) for entry in ENTRIES) == found


def test_what_a_preset_asks_is_told() -> None:
    told = dict(facts(MINE))
    assert told["Finds"] == "highest score within 80 tokens on average"
    assert told["Probes"] == "arithmetic (64)"
    for entry in list_presets():
        assert entry.preset is None or facts(entry.preset)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_typing_filters_and_enter_opens_in_the_guide(size: tuple[int, int]) -> None:
    app, _ = browsing()
    async with app.run_test(size=size) as pilot:
        await pilot.press("p")
        await until(pilot, lambda: "[b]Mine[/b], kept." in shown(app))
        await pilot.press("down")
        await until(pilot, lambda: "highest score within 80" in shown(app))
        await pilot.press(*"mine")
        await until(pilot, lambda: "1 of 3 presets" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        assert isinstance(app.screen, ModelsScreen)
        assert app.screen.draft.template == MINE
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PresetsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "3 of 3 presets" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_a_preset_that_is_not_valid_says_why() -> None:
    app, _ = browsing()
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("p")
        await until(pilot, lambda: "Not valid" in shown(app))
        await pilot.press(*"bad")
        await until(pilot, lambda: "unknown key lamda" in shown(app))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, PresetsScreen)
        await pilot.press("x", "x")
        await until(pilot, lambda: "no preset has" in shown(app))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, PresetsScreen)
