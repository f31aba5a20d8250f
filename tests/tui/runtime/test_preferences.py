"""Preferences: keys bound anew, and mistakes in the settings told."""

from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.keys import ids_by_place, keys_of, places
from mi_tui.tui.runtime.config import config_path
from mi_tui.tui.runtime.preferences import read_preferences
from mi_tui.tui.screens.steps.models import ModelsScreen
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def told(app: MiTuiApp) -> str:
    """The words of the toasts, whose lines end wherever a path is long."""
    lines = (line.partition("▌") for line in shown(app).splitlines())
    return " ".join(behind.strip() for _, bar, behind in lines if bar)


async def test_keys_can_be_bound_anew_and_mistakes_are_told() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('theme = "mi-light"\n[keys]\n"home.demo" = "z"\n"no.such" = "y"\n')
    app = MiTuiApp(services=SteeredServices())
    assert app.theme == "mi-light"
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: "no key has the id" in told(app))
        await pilot.press("d")
        await pilot.pause()
        assert not isinstance(app.screen, ModelsScreen)
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))


async def test_broken_settings_are_told_and_the_app_starts() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('colour = "red"\n')
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(notifications=True, size=(120, 40)) as pilot:
        await until(pilot, lambda: "unknown key colour" in told(app))


def test_a_key_bound_to_two_things_of_one_screen_is_named() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('[keys]\n"probe.stop" = "p"\n"home.demo" = "z"\n')
    _, problems = read_preferences(ids_by_place)
    (found,) = problems
    assert "p is bound to probe.pause and to probe.stop: choose another key" in found


def test_no_screen_has_two_meanings_for_a_key_by_itself() -> None:
    by_the_cursor = {"home.resume"}  # Enter opens a study, or resumes it where it was interrupted
    for name, place in places():
        mine = [key for key in keys_of(place) if key.id not in by_the_cursor]
        taken = [part for key in mine for part in key.keys.split(",")]
        assert len(set(taken)) == len(taken), name
