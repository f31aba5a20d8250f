"""The way through the five steps, by keys alone."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.plan.budget import Budget
from mi_tui.plan.preset import Preset
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.base import GuideScreen
from mi_tui.tui.screens.dialogs.help import HelpScreen
from mi_tui.tui.screens.home import HomeScreen
from mi_tui.tui.screens.steps.budget import BudgetScreen
from mi_tui.tui.screens.steps.models import ModelsScreen, by_weight
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.screens.steps.recommend import RecommendScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from tests.tui import views
from tests.tui.driving import said, shown, until
from tests.tui.services import SteeredServices

SIZES = [(80, 24), (120, 40)]


def on(app: MiTuiApp, screen: type) -> Callable[[], bool]:
    return lambda: isinstance(app.screen, screen)


def demo(services: SteeredServices) -> MiTuiApp:
    return MiTuiApp(start="demo", preset=views.preset(), services=services)


async def enter(pilot: Pilot[Any], app: MiTuiApp, screen: type) -> None:
    await pilot.press("enter")
    await until(pilot, on(app, screen))
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_enter_all_the_way_gives_a_recommendation_and_an_export(
    size: tuple[int, int],
) -> None:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    app = demo(services)
    async with app.run_test(size=size) as pilot:
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await enter(pilot, app, ScopeScreen)
        await enter(pilot, app, ProbeScreen)
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await enter(pilot, app, RecommendScreen)
        await until(pilot, lambda: "λ = 0.7" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Exported 9 files" in said(app, "status"))
    assert ("start", views.preset()) in services.asked
    exported = [what for kind, what in services.asked if kind == "export"]
    kinds = ["preset", "json", "csv", "groups", "flips", "mergekit", "report"]
    assert exported == [*kinds, "serve", "serve-checkpoint"]


@pytest.mark.parametrize("size", SIZES)
async def test_each_step_names_itself_and_shows_its_keys(size: tuple[int, int]) -> None:
    app = demo(SteeredServices(views.view(answer=views.recommendation())))
    async with app.run_test(size=size) as pilot:
        await until(pilot, on(app, ModelsScreen))
        for screen in (BudgetScreen, ScopeScreen, ProbeScreen, RecommendScreen):
            await pilot.pause()
            top, *_, bottom = shown(app).splitlines()
            assert isinstance(app.screen, GuideScreen)
            assert f" {app.screen.STEP.value} {app.screen.STEP.title} " in top
            assert "Help" in bottom
            await until(pilot, lambda: "Opening" not in shown(app))
            await enter(pilot, app, screen)


async def test_escape_goes_back_and_keeps_what_was_typed() -> None:
    app = demo(SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await pilot.press("tab", "end", "5")
        await pilot.press("escape")
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await pilot.press("escape", "escape")
        await until(pilot, on(app, HomeScreen))


async def test_a_new_study_asks_for_its_pair_before_it_goes_on() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await pilot.press("n")
        await until(pilot, on(app, ModelsScreen))
        await until(pilot, lambda: "Name an Instruct and a Thinking" in said(app, "status"))
        assert "✗" not in shown(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)
        await until(pilot, lambda: "2 fields to correct" in said(app, "status"))
        await pilot.press(*"a/b", "tab", *"c/d")
        await until(pilot, lambda: "architecture" in shown(app))
        await enter(pilot, app, BudgetScreen)


async def test_letters_typed_into_a_field_are_no_commands() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await pilot.press("n")
        await until(pilot, on(app, ModelsScreen))
        await pilot.press(*"qdnsp?")
        assert app.screen.query_one("#instruct", Input).value == "qdnsp?"
        assert isinstance(app.screen, ModelsScreen)


async def test_a_pair_that_does_not_fit_is_not_taken() -> None:
    services = SteeredServices()
    services.preflight_lines = (Finding("error", "layers", "36 against 48"),)
    app = demo(services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "✗ layers" in shown(app))
        assert "36 against 48" in said(app, "status")
        assert "Enter goes" not in shown(app)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)


def test_what_forbids_comes_first_and_then_what_decides_whether_it_runs() -> None:
    lines = [
        Finding("ok", "dtype", ""),
        Finding("ok", "memory", ""),
        Finding("warning", "head", ""),
        Finding("error", "shape", ""),
    ]
    assert [line.subject for line in by_weight(lines)] == ["shape", "head", "memory", "dtype"]


async def test_the_budget_is_checked_as_it_is_typed() -> None:
    app = demo(SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await pilot.press("down", "down")
        assert "score" in said(app, "forecast")
        limit = app.screen.query_one("#limit", Input)
        assert limit.value == "80"
        await pilot.press("tab", *["backspace"] * 2, *"120")
        await until(pilot, lambda: "a number up to 100, not 120" in shown(app))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, BudgetScreen)
        await pilot.press("backspace")
        await enter(pilot, app, ScopeScreen)
        assert isinstance(app.screen, ScopeScreen)
        draft = app.screen.draft
        assert (draft.objective, draft.limit) == ("fewest-tokens-for-score", "12")


async def test_the_scope_says_what_it_costs_and_starts_what_it_says() -> None:
    services = SteeredServices()
    app = demo(services)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await enter(pilot, app, ScopeScreen)
        await until(pilot, lambda: "7 recipes × 48 problems × 4 samples" in said(app, "forecast"))
        field = app.screen.query_one("#grid", Input)
        field.value = "0-1 by 0.5"
        await until(pilot, lambda: "3 recipes" in said(app, "forecast"))
        await enter(pilot, app, ProbeScreen)
    started = next(what for kind, what in services.asked if kind == "start")
    assert started.search.grid == (0.0, 0.5, 1.0)


async def test_a_study_that_cannot_start_is_one_line_and_the_form_stays() -> None:
    services = SteeredServices()
    services.start_error = StudyError("cannot write the study directory /x: read-only")
    app = demo(services)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await enter(pilot, app, ScopeScreen)
        await pilot.press("enter")
        await until(pilot, lambda: "read-only" in shown(app))
        assert isinstance(app.screen, ScopeScreen)


async def test_two_quick_enters_start_one_study_and_a_slow_disk_freezes_nothing() -> None:
    services = SteeredServices()
    may_start = Event()
    slow = services.create_and_start

    def create_and_start(preset: Preset, name: str = "") -> Path:
        may_start.wait(30)
        return slow(preset)

    services.create_and_start = create_and_start  # type: ignore[method-assign]
    app = demo(services)
    async with app.run_test() as pilot:
        await until(pilot, on(app, ModelsScreen))
        await enter(pilot, app, BudgetScreen)
        await enter(pilot, app, ScopeScreen)
        await pilot.press("enter", "enter")
        await pilot.press("f1")
        await until(pilot, on(app, HelpScreen))
        await pilot.press("escape")
        may_start.set()
        await until(pilot, on(app, ProbeScreen))
        await pilot.pause()
        assert [what for what, _ in services.asked].count("start") == 1


async def test_odd_paths_are_typed_without_harm(tmp_path: Path) -> None:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    app = demo(services)
    async with app.run_test() as pilot:
        await until(pilot, on(app, ModelsScreen))
        for text in ("~nobody-of-this-name/a", "/" + "a" * 300 + "-Instruct"):
            for field in ("#instruct", "#thinking", "#base"):
                app.screen.query_one(field, Input).value = text
            await pilot.pause()
        assert isinstance(app.screen, ModelsScreen)


async def test_a_new_budget_is_asked_of_the_same_data() -> None:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    app = MiTuiApp(start="watch", study=Path("/studies/demo"), services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await enter(pilot, app, RecommendScreen)
        await pilot.press("b", *["backspace"] * 12, *"score>=9")
        await until(pilot, lambda: "did you mean score>=9% or score>=0.09?" in shown(app))
        await pilot.press(*["backspace"], *"0.9")
        await until(pilot, lambda: ("recommend", "score>=0.9") in services.asked)
        await pilot.press("enter", "b")
        assert isinstance(app.screen.focused, Input)
        await pilot.press("escape", "escape")
        await until(pilot, on(app, ProbeScreen))


async def test_without_an_answer_in_the_store_the_data_are_asked() -> None:
    services = SteeredServices(views.view(StudyState.RUNNING))
    app = MiTuiApp(start="watch", study=Path("/studies/demo"), services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await enter(pilot, app, RecommendScreen)
        await until(pilot, lambda: "λ = 0.7" in shown(app))
        assert "still running" in said(app, "status")
    budget: Budget = views.preset().budget
    assert ("recommend", budget.spec) in services.asked


async def test_what_was_exported_stays_on_screen_while_the_study_runs() -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    app = MiTuiApp(start="watch", study=Path("/studies/demo"), services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await enter(pilot, app, RecommendScreen)
        await pilot.press("enter")
        await until(pilot, lambda: "Exported 9 files" in said(app, "status"))
        answer = views.recommendation(lambda_=0.71)
        services.view = views.newer(services.view, recommendation=answer)
        await until(pilot, lambda: "λ = 0.71" in said(app, "headline"))
        assert "Exported 9 files" in said(app, "status")
        assert "file.mergekit" in shown(app)


async def test_an_export_that_fails_says_why() -> None:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    services.export_error = StudyError("cannot write to /ro: read-only file system")
    app = MiTuiApp(start="watch", study=Path("/studies/demo"), services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await enter(pilot, app, RecommendScreen)
        await pilot.press("enter")
        await until(pilot, lambda: "read-only file system" in said(app, "status"))
