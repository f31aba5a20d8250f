"""The app as a whole: quick to start, free of torch, quiet over SSH, plain without colour."""

import subprocess
import sys
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.command import CommandPalette

from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.screens.steps.models import ModelsScreen
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices

HEAVY = ("torch", "transformers", "accelerate")

WALK = """
import asyncio, sys
from tests.tui import views
from tests.tui.services import SteeredServices
from mi_tui.tui.app import MiTuiApp

async def walk():
    app = MiTuiApp(
        start="demo", preset=views.preset(),
        services=SteeredServices(views.view(answer=views.recommendation())),
    )
    async with app.run_test() as pilot:
        await pilot.pause()
        for _ in range(5):
            await pilot.press("enter")
            await pilot.pause(0.1)
        await pilot.press("f1")
        await pilot.pause(0.1)
        print(type(app.screen_stack[-2]).__name__)

asyncio.run(walk())
print([name for name in {heavy!r} if name in sys.modules])
"""


def fresh(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return run.stdout


def test_importing_the_app_imports_nothing_heavy() -> None:
    wanted = (*HEAVY, "numpy", "scipy", "textual_plot", "markdown_it")
    code = f"import sys, mi_tui.tui.app; print([n for n in {wanted!r} if n in sys.modules])"
    assert fresh(code).strip() == "[]"


def test_the_whole_way_imports_no_torch() -> None:
    walked, heavy = fresh(WALK.format(heavy=HEAVY)).splitlines()
    assert walked == "RecommendScreen"
    assert heavy == "[]"


async def test_over_ssh_nothing_is_animated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MiTuiApp(services=SteeredServices()).animation_level == "full"
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")
    assert MiTuiApp(services=SteeredServices()).animation_level == "none"


async def test_without_colour_everything_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = MiTuiApp(start="demo", preset=views.preset(), services=SteeredServices())
    assert app.no_color
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await until(pilot, lambda: "! chat template" in shown(app))


async def test_every_binding_has_an_id_and_says_what_it_does() -> None:
    app = MiTuiApp(
        start="demo",
        preset=views.preset(),
        services=SteeredServices(views.view(answer=views.recommendation())),
    )
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        for _ in range(5):
            for active in app.screen.active_bindings.values():
                if type(active.node).__module__.startswith("mi_tui"):
                    own = [b.key for b in type(active.node).BINDINGS if isinstance(b, Binding)]
                    if any(active.binding.key in keys.split(",") for keys in own):
                        assert active.binding.id, active.binding
                        assert active.binding.tooltip, active.binding
            await pilot.press("enter")
            await pilot.pause(0.1)


async def test_background_calls_run_in_order_and_errors_come_back() -> None:
    thread = Background("test")
    done: list[int] = []
    for number in range(20):
        thread.run_and_forget(lambda number=number: done.append(number))  # type: ignore[misc]

    def fails() -> None:
        raise ValueError("seen")

    with pytest.raises(ValueError, match="seen"):
        await thread.run(fails)
    assert done == list(range(20))
    assert await thread.run(lambda: 7) == 7
    thread.close()


REAL = """
import sys
from pathlib import Path
from mi_tui.plan.pair import Pair
from mi_tui.tui.studies.services import Services

services = Services()
lines = services.preflight(Pair(instruct="bundled:instruct", thinking="bundled:thinking"))
assert lines and all(line.level != "error" for line in lines), lines
assert services.demo_preset().title
assert services.presets()
assert services.studies() == ()
import mi_tui.study.control, mi_tui.study.reader, mi_tui.export.bundle
print([name for name in {heavy!r} if name in sys.modules])
"""


def test_what_stands_behind_the_screens_imports_no_torch() -> None:
    assert fresh(REAL.format(heavy=HEAVY)).strip() == "[]"


@pytest.mark.parametrize(
    "keys", [("d",), ("d", "f1"), ("ctrl+p",), ("d", "f3"), ("question_mark",)]
)
async def test_ctrl_q_leaves_from_every_screen(keys: tuple[str, ...]) -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "New study" in shown(app))
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running or app._exit)


async def test_the_palette_knows_the_screen() -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    app = MiTuiApp(start="watch", study=Path("/s"), services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"add")
        await until(pilot, lambda: "Evaluate further values" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Evaluate which λ?" in shown(app))
