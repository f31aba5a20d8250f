"""The home screen: what can be started, and what was."""

from dataclasses import replace

from textual.widgets import OptionList

from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.dialogs.help import HelpScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.widgets.menu import MenuList
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


async def test_studies_are_listed_with_state_progress_and_best() -> None:
    entries = (views.entry(StudyState.RUNNING, 1), views.entry(StudyState.DONE, 2))
    app = MiTuiApp(services=SteeredServices(entries=entries))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "✓ done" in shown(app))
        running = next(line for line in shown(app).splitlines() if "▶ running" in line)
        assert "25 %" in running
        assert "demo-20261121-120000" in running, "a name is not cut at 80 columns"
        assert "λ 0.7" in next(line for line in shown(app).splitlines() if "✓ done" in line)


async def test_enter_on_an_interrupted_study_lets_it_go_on() -> None:
    services = SteeredServices(entries=(views.entry(StudyState.INTERRUPTED),))
    app = MiTuiApp(services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "interrupted" in shown(app))
        await pilot.press("G", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "Mean@k" in shown(app))
    assert ("go on", services.entries[0].path) in services.asked


async def test_enter_on_a_stopped_study_only_looks_at_it() -> None:
    services = SteeredServices(entries=(views.entry(StudyState.STOPPED),))
    app = MiTuiApp(services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        await pilot.press("G", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "Mean@k" in shown(app))
    assert "go on" not in {kind for kind, _ in services.asked}


async def test_the_cursor_stays_where_it_is_when_the_list_changes() -> None:
    services = SteeredServices(entries=(views.entry(StudyState.RUNNING, 1),))
    app = MiTuiApp(services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "running" in shown(app))
        await pilot.press("G")
        services.entries = (views.entry(StudyState.RUNNING, 2), views.entry(StudyState.DONE, 1))
        app.screen._look()  # type: ignore[attr-defined]
        await until(pilot, lambda: "done" in shown(app))
        listed = app.screen.query_one(OptionList)
        assert listed.highlighted is not None
        under = listed.get_option_at_index(listed.highlighted).id
        assert under is not None
        assert under.endswith("demo-20261121-120000")


async def test_the_machine_is_named() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "box · 2 cores · 8 GiB memory · no GPU" in shown(app))


async def test_help_teaches_on_every_screen_and_closes_again() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: "Where to begin" in shown(app))
        await pilot.press("escape")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert "New study" in shown(app)
        assert "Where to begin" not in shown(app)
        await pilot.press("q")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))


async def test_in_a_narrow_terminal_every_study_keeps_to_its_line() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=(60, 18)) as pilot:
        await until(pilot, lambda: "box · 2 cores" in shown(app))
        lines = app.screen.query_one(MenuList)
        assert lines.virtual_size.height == lines.option_count
        await pilot.resize_terminal(100, 18)
        await until(pilot, lambda: "choose an Instruct and a Thinking checkpoint" in shown(app))


TWO = (views.entry(StudyState.DONE, 1), views.entry(StudyState.STOPPED, 2))


async def test_a_filter_shows_the_studies_with_a_text() -> None:
    app = MiTuiApp(services=SteeredServices(entries=TWO))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "20261121" in shown(app) and "20261122" in shown(app))
        await pilot.press("slash", *"1122", "enter")
        await until(pilot, lambda: "20261121" not in shown(app))
        assert "20261122" in shown(app)
        assert "with '1122' of 2" in shown(app)
        await pilot.press("slash", *"nowhere", "enter")
        await until(pilot, lambda: "none with 'nowhere'" in shown(app))
        await pilot.press("slash", "delete", "enter")
        await until(pilot, lambda: "20261121" in shown(app))


async def test_a_study_is_renamed_and_deleted_after_a_yes() -> None:
    services = SteeredServices(entries=TWO)
    app = MiTuiApp(services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        await pilot.press("G", "r", *"a/b", "enter")
        await until(pilot, lambda: "letters, digits, dots" in shown(app))
        await pilot.press("escape", "r", *"qwen", "enter")
        renamed = ("rename", (TWO[1].path, "qwen"))
        await until(pilot, lambda: renamed in services.asked)
        await pilot.press("x")
        await until(pilot, lambda: "1,200 rollouts and its exports" in shown(app))
        await pilot.press("n", "x", "y")
        await until(pilot, lambda: ("delete", TWO[1].path) in services.asked)
    assert [what for what, _ in services.asked].count("delete") == 1


async def test_a_new_study_begins_with_the_settings_of_another() -> None:
    app = MiTuiApp(services=SteeredServices(entries=TWO))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        await pilot.press("e")
        await until(pilot, lambda: "Go to a study first" in shown(app))
        await pilot.press("G", "e")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        assert isinstance(app.screen, ModelsScreen)
        assert app.screen.checked.preset == views.preset()


async def test_marked_studies_are_shown_side_by_side() -> None:
    services = SteeredServices(entries=TWO)
    app = MiTuiApp(services=services)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        await pilot.press("G", "c")
        await until(pilot, lambda: "Mark one study with Space" in shown(app))
        await pilot.press("space", "k", "c")
        await until(pilot, lambda: "Recommended" in shown(app))
        for part in ("MI-0.7", "λ 0.6", "80.0 ± 5.0 %", TWO[0].name, TWO[1].name):
            assert part in shown(app)


async def test_the_study_under_the_cursor_is_previewed_with_its_curve_where_it_is_wide() -> None:
    app = MiTuiApp(services=SteeredServices(entries=TWO))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        assert "bundled:instruct" not in shown(app)
        await pilot.press("G")
        await until(pilot, lambda: "bundled:instruct" in shown(app))
        for part in ("arithmetic", "highest score within 80 tokens", "MI-0.7: 88.0 ± 3.0 %"):
            assert part in " ".join(shown(app).split())
        await pilot.press("g")
        await until(pilot, lambda: "bundled:instruct" not in shown(app))


async def test_a_study_is_noted_and_found_by_its_tag() -> None:
    noted = replace(TWO[0], note="first try #qwen")
    services = SteeredServices(entries=(noted, TWO[1]))
    app = MiTuiApp(services=services)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        assert "Note" in shown(app)
        await pilot.press("slash", *"#qwen", "enter")
        await until(pilot, lambda: TWO[1].name[:14] not in shown(app))
        await pilot.press("slash", "delete", "enter", "G", "t", *"slow #big", "enter")
        await until(pilot, lambda: ("note", (TWO[1].path, "slow #big")) in services.asked)
    assert noted.tags == ("qwen",)


async def test_enter_is_resume_on_a_study_that_was_interrupted_and_open_elsewhere() -> None:
    entries = (views.entry(StudyState.DONE, 1), views.entry(StudyState.INTERRUPTED, 2))
    app = MiTuiApp(services=SteeredServices(entries=entries))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "interrupted" in shown(app))
        assert "Open" in shown(app).splitlines()[-1]
        await pilot.press("G")
        await until(pilot, lambda: "Resume" in shown(app).splitlines()[-1])
        await pilot.press("k")
        await until(pilot, lambda: "Open" in shown(app).splitlines()[-1])


async def test_the_curves_of_marked_studies_are_drawn_over_one_another() -> None:
    app = MiTuiApp(services=SteeredServices(entries=TWO))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "stopped" in shown(app))
        await pilot.press("G", "space", "k", "c")
        await until(pilot, lambda: f"◆ {TWO[1].name}" in shown(app))
        assert "Mean@k over λ" in shown(app)
        await pilot.press("m")
        await until(pilot, lambda: "Token #N over λ (100 = 125 tokens" in shown(app))
