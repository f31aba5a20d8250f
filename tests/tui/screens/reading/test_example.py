"""The example of each probe, shown on the Scope screen before anything runs."""

from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from mi_tui.errors import MiTuiError
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.reading.example import ExampleScreen
from mi_tui.tui.screens.steps.budget import BudgetScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.choice import Choice
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def demo(services: Services) -> MiTuiApp:
    return MiTuiApp(start="demo", preset=views.preset(), services=services)


async def to_scope(pilot: Pilot[Any]) -> None:
    app = pilot.app
    for screen in (ModelsScreen, BudgetScreen):
        await until(pilot, lambda screen=screen: isinstance(app.screen, screen))  # type: ignore[misc]
        await pilot.press("enter")
    await until(pilot, lambda: "What is tried" in shown(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_example_is_the_prompt_the_demo_model_sees(size: tuple[int, int]) -> None:
    app = demo(Services())
    async with app.run_test(size=size) as pilot:
        await to_scope(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: "Right answer" in shown(app))
        text = shown(app)
        for part in ("<|im_start|>user", "Compute ", "<|im_start|>assistant", "left to the model"):
            assert part in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ScopeScreen))


async def test_e_is_a_letter_in_a_field_and_a_key_outside() -> None:
    app = demo(SteeredServices())
    async with app.run_test() as pilot:
        await to_scope(pilot)
        await pilot.press("e")
        grid = app.screen.query_one("#grid", Input)
        assert grid.value == "e", "it replaces what the field held"
        grid.value = "0, 1"
        app.screen.query(Choice).first().focus()
        await pilot.press("e")
        await until(pilot, lambda: "Compute 8+9-4" in shown(app))


async def test_it_is_prepared_behind_the_screen_and_can_be_left() -> None:
    services = SteeredServices()
    services.may_show.clear()
    app = demo(services)
    async with app.run_test() as pilot:
        await to_scope(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: "Preparing arithmetic" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ScopeScreen))
        services.may_show.set()
        await pilot.press("f4")
        await until(pilot, lambda: "Compute 8+9-4" in shown(app))
        assert "Preparing" not in shown(app)


async def test_a_probe_that_cannot_be_had_is_one_line() -> None:
    services = SteeredServices()
    services.example_error = MiTuiError("Idavidrein/gpqa is gated: run hf auth login")
    app = demo(services)
    async with app.run_test() as pilot:
        await to_scope(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: "✗ arithmetic: Idavidrein/gpqa is gated" in shown(app))


async def test_an_invalid_scope_is_corrected_first() -> None:
    app = demo(SteeredServices())
    async with app.run_test(notifications=True, size=(120, 40)) as pilot:
        await to_scope(pilot)
        await pilot.press("x", "f4")
        await until(pilot, lambda: "must be valid" in shown(app))
        assert not isinstance(app.screen, ExampleScreen)


async def test_the_palette_opens_it_and_long_examples_scroll() -> None:
    services = SteeredServices()
    services.example_prompt = "[red]x[/]\n" + "\n".join(f"line {i}" for i in range(60))
    app = demo(services)
    async with app.run_test() as pilot:
        await to_scope(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"example")
        await until(pilot, lambda: "One problem of each probe" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "[red]x[/]" in shown(app))
        assert "line 30" not in shown(app)
        await pilot.press(*"j" * 20)
        await until(pilot, lambda: "line 30" in shown(app))
