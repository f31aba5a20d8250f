"""Dialogs over a screen: help works in each, and leaves the dialog as it was."""

from collections.abc import Callable
from typing import Any

from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.keys import places
from mi_tui.tui.runtime.theme_watch import ThemeWatch
from mi_tui.tui.screens.dialogs.ask import AskScreen, ConfirmScreen
from mi_tui.tui.screens.dialogs.baselines import RowsScreen
from mi_tui.tui.screens.dialogs.dialog import Dialog
from mi_tui.tui.screens.dialogs.help import HelpScreen
from mi_tui.tui.screens.dialogs.jump import JumpScreen
from mi_tui.tui.screens.dialogs.pick import Pick, PickScreen
from mi_tui.tui.screens.dialogs.probe_form import ProbeFormScreen
from mi_tui.tui.screens.dialogs.probe_kinds import CatalogueScreen
from mi_tui.tui.screens.dialogs.serve import ServeScreen
from mi_tui.tui.screens.dialogs.themes import ThemesScreen
from mi_tui.tui.screens.reading.example import ExampleScreen
from mi_tui.tui.screens.reading.relative_gap import SigmaScreen
from mi_tui.tui.studies.export import Serving
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices

PAIR = Pair(instruct="a", thinking="b")
TYPED_INTO = (AskScreen, ProbeFormScreen)
"""Dialogs in which ? is typed into a field."""

DIALOGS: dict[type[Dialog[Any]], Callable[[MiTuiApp], Dialog[Any]]] = {
    AskScreen: lambda _: AskScreen("Which?", "x", lambda _: ""),
    CatalogueScreen: lambda _: CatalogueScreen(PAIR),
    ConfirmScreen: lambda _: ConfirmScreen("Drop it?"),
    ExampleScreen: lambda _: ExampleScreen(views.preset(), SteeredServices()),
    JumpScreen: lambda app: JumpScreen(app.screen.focus_chain),
    PickScreen: lambda _: PickScreen("Which?", [Pick("a", "a", "the first")]),
    ProbeFormScreen: lambda _: ProbeFormScreen(ArithmeticProbe(kind="arithmetic"), "Edit"),
    RowsScreen: lambda _: RowsScreen((), "", Decoding()),
    ServeScreen: lambda _: ServeScreen(Serving("mi-tui serve x", ("0.6  low",))),
    SigmaScreen: lambda _: SigmaScreen(PAIR, SteeredServices()),
    ThemesScreen: lambda app: ThemesScreen(["mi-dark"], "mi-dark", ThemeWatch(app)),
}


def test_every_dialog_is_tried() -> None:
    modal = {place for _, place in places() if issubclass(place, Dialog)}
    assert modal - {Dialog} == set(DIALOGS)


async def test_help_opens_over_every_dialog_and_closes_to_it() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Start" in shown(app))
        for kind, made in DIALOGS.items():
            dialog = made(app)
            await app.push_screen(dialog)
            await pilot.press("f1" if kind in TYPED_INTO else "question_mark")
            await until(pilot, lambda: isinstance(app.screen_stack[-1], HelpScreen))
            assert "Keys" in shown(app) or kind in TYPED_INTO, kind
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen_stack[-1], Dialog))
            assert app.screen is dialog
            await app.pop_screen()
        await app.push_screen(DIALOGS[ConfirmScreen](app))
        await pilot.press("f1")
        await until(pilot, lambda: "Where to begin" in shown(app))
