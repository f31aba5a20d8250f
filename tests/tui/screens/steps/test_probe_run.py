"""The Probe screen: shows what is new, asks for what the state allows, sends little."""

import re
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets._footer import FooterKey

from mi_tui.analysis.results import Curve
from mi_tui.plan.recipe import Decoding, Recipe, interpolation
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.runtime.config import config_path
from mi_tui.tui.screens.home import HomeScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.widgets.curves import CurvesPlot
from mi_tui.tui.widgets.newest import NewestResponses
from mi_tui.tui.widgets.quiet_plot import QuietCanvas
from mi_tui.tui.widgets.results_table import ResultsTable
from tests.tui import views
from tests.tui.driving import said, shown, until
from tests.tui.services import SteeredServices


def watching(services: SteeredServices) -> MiTuiApp:
    return MiTuiApp(start="watch", study=services.view.path, services=services)


async def opened(pilot: Pilot[Any]) -> ProbeScreen:
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))
    assert isinstance(app.screen, ProbeScreen)
    return app.screen


async def look(pilot: Pilot[Any]) -> None:
    """Let the app look at the study now instead of at its next second."""
    assert isinstance(pilot.app, MiTuiApp)
    pilot.app._watch.look()
    # The home screen below may be looking at another study, and give that up.
    mine = [worker for worker in pilot.app.workers if worker.group != "preview"]
    await pilot.app.workers.wait_for_complete(mine)
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50)])
async def test_every_measure_is_on_screen_at_every_size(size: tuple[int, int]) -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    async with watching(services).run_test(size=size) as pilot:
        await opened(pilot)
        titles = ("Recipe", "Stage", "Mean@k", "Think #R", "Token #N", "Trunc.", "Latency")
        wanted = (*titles, "◆ Token #N", "1,792/2,400")
        await until(pilot, lambda: all(text in shown(pilot.app) for text in wanted))
        text = shown(pilot.app)
    row = next(line for line in text.splitlines() if "MI-0.6" in line)
    for cell in ("◐ 2", "256", "80.0 ± 5.0 %", "73 %", "51 ± 5", "0 %", "0.20 s"):
        assert cell in row
    assert "running" in text
    assert "1,792/2,400" in text
    assert "◆ Token #N" in text
    assert "(100%=125)" in text


async def test_wide_screens_show_votes_with_their_ties_and_silences() -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    async with watching(services).run_test(size=(250, 40)) as pilot:
        await opened(pilot)
        lines = shown(pilot.app).splitlines()
    header = next(line for line in lines if "Mean@k" in line)
    row = next(line for line in lines if "MI-0.6" in line)
    assert re.search("Pass@k +Vote@k +Ties +No vote", header)
    for value, half in ((90, 5), (86, 5), (11, 5), (4, 2)):  # with intervals where there is room
        assert re.search(rf" {value}(?:\.0 ± {half}\.0)? %", row)


async def test_new_rollouts_appear_and_only_their_lines_are_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = SteeredServices(views.view())
    async with watching(services).run_test() as pilot:
        screen = await opened(pilot)
        table = screen.query_one(ResultsTable)
        await look(pilot)  # the first sizes have been given out by now
        await pilot.pause()
        drawn: list[int] = []
        refresh = table.refresh

        def counted(*regions: Any, **kwargs: Any) -> Any:
            drawn.extend(region.y for region in regions)
            assert not kwargs.get("layout")
            return refresh(*regions, **kwargs)

        monkeypatch.setattr(table, "refresh", counted)
        rows = list(services.view.rows)
        rows[3] = rows[3].model_copy(update={"rollouts": 999})
        services.view = views.newer(services.view, rows=tuple(rows))
        await look(pilot)
        assert "999" in shown(pilot.app)
        assert drawn == [4]
        await look(pilot)
        assert drawn == [4]


async def test_the_table_grows_with_the_search() -> None:
    services = SteeredServices(views.view(table=()))
    async with watching(services).run_test() as pilot:
        await until(pilot, lambda: "No rollouts yet" in shown(pilot.app))
        services.view = views.newer(services.view, rows=views.rows())
        await look(pilot)
        await until(pilot, lambda: "MI-0.8" in shown(pilot.app))
        assert pilot.app.screen.query_one(ResultsTable).selected == views.rows()[0]


async def test_a_recipe_without_a_complete_round_shows_no_interval() -> None:
    changes = {"preliminary": True, "stage": None, "rollouts": 22}
    table = [
        row.model_copy(update=changes) if row.recipe.label == "MI-0.5" else row
        for row in views.rows()
    ]
    async with watching(SteeredServices(views.view(table=table))).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        line = next(line for line in shown(pilot.app).splitlines() if "MI-0.5" in line)
        assert re.search(r"22… +\d+ ± \? .* ≥\d+ ± \? ", line)
        await until(pilot, lambda: {"◇", "△"} <= set(shown(pilot.app)))


async def test_the_keys_for_recipes_wait_for_the_first() -> None:
    def offered() -> set[str]:
        keys = pilot.app.screen.query(FooterKey)
        return {key.description for key in keys if not key.has_class("-disabled")}

    services = SteeredServices(views.view(table=()))
    async with watching(services).run_test() as pilot:
        await until(pilot, lambda: "No rollouts yet" in shown(pilot.app))
        assert not offered() & {"Recommend", "Read"}
        services.view = views.newer(services.view, rows=views.rows())
        await look(pilot)
        await until(pilot, lambda: {"Recommend", "Read"} <= offered())


async def test_the_keys_follow_the_state() -> None:
    services = SteeredServices(views.view(StudyState.RUNNING))
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("r")
        await pilot.press("p")
        paused: tuple[str, Any] = ("pause", {})
        assert services.last == paused
        services.view = views.newer(services.view, state=StudyState.PAUSED)
        await look(pilot)
        footer = shown(pilot.app).splitlines()[-1]
        assert "Resume" in footer
        assert "Pause" not in footer
        await pilot.press("r")
        went_on: tuple[str, Any] = ("go on", services.view.path)
        assert services.last == went_on
        await pilot.press("s")
        await until(pilot, lambda: "32 responses under way will be lost" in shown(pilot.app))
        await pilot.press("n")
        assert services.last == went_on
        await pilot.press("s", "y")
        stopped: tuple[str, Any] = ("stop", {})
        assert services.last == stopped
        services.view = views.newer(services.view, state=StudyState.STOPPED)
        await look(pilot)
        before = list(services.asked)
        await pilot.press("s", "p")
        assert list(services.asked) == before
        await pilot.press("r")
        assert services.last == went_on


async def test_a_failed_study_says_why_and_what_to_do() -> None:
    message = "out of memory: choose a smaller batch in the preset [engine]"
    services = SteeredServices(views.view(StudyState.FAILED, message=message))
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        assert said(pilot.app, "status") == message


@pytest.mark.parametrize("state", [StudyState.FAILED, StudyState.STOPPED])
async def test_one_key_goes_from_a_failed_or_stopped_study_to_its_settings(
    state: StudyState,
) -> None:
    services = SteeredServices(views.view(state, message="no such file: problems.jsonl"))
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
        assert isinstance(pilot.app.screen, ModelsScreen)
        assert pilot.app.screen.checked.preset == views.preset()


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_terminal_is_told_of_the_end_where_the_settings_ask_for_it(
    wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(f"notify = {str(wanted).lower()}\n")
    services = SteeredServices(views.view(StudyState.RUNNING))
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        assert pilot.app._driver is not None
        written: list[str] = []
        monkeypatch.setattr(pilot.app._driver, "write", written.append)
        services.view = views.newer(services.view, state=StudyState.DONE)
        await look(pilot)
        await until(pilot, lambda: "Done" in shown(pilot.app))
    told = "\x1b]9;mi-tui: demo-20261122-120000 done\x07"
    assert written.count(told) == wanted


async def test_a_study_that_cannot_be_read_is_one_line() -> None:
    services = SteeredServices()
    services.read_error = StudyError("no study at /nowhere: mi-tui studies lists them")
    async with watching(services).run_test(notifications=True) as pilot:
        await until(pilot, lambda: "no study at /nowhere" in shown(pilot.app))
        for _ in range(3):
            await look(pilot)
        assert len(pilot.app._notifications) == 1


async def test_escape_leaves_the_study_going() -> None:
    services = SteeredServices()
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen))
        await until(pilot, lambda: ("close", None) in services.asked)
    assert not {"stop", "pause"} & {kind for kind, _ in services.asked}


@pytest.mark.parametrize(
    ("studies", "found_by"),
    [("/studies", "demo-20261122-120000"), ("/elsewhere", "/studies/demo-20261122-120000")],
)
async def test_quitting_says_how_to_come_back(
    studies: str, found_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", studies)
    services = SteeredServices()
    app = watching(services)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("q")
    assert str(app.return_value).endswith(f"mi-tui watch {found_by}")


async def test_quitting_a_finished_study_says_nothing() -> None:
    services = SteeredServices(views.view(StudyState.DONE, answer=views.recommendation()))
    app = watching(services)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("q")
    assert app.return_value is None


async def test_the_cursor_moves_with_arrows_and_with_vims_keys() -> None:
    services = SteeredServices()
    async with watching(services).run_test() as pilot:
        table = (await opened(pilot)).query_one(ResultsTable)

        def under() -> float | None:
            assert table.selected is not None
            return table.selected.recipe.lambda_

        await pilot.press("j", "down", "k")
        assert under() == 0.2
        await pilot.press("G")
        assert under() == 1.0
        await pilot.press("down", "g", "up")
        assert under() == 0.0


async def test_any_column_can_lead_and_the_cursor_stays_on_its_recipe() -> None:
    services = SteeredServices()
    async with watching(services).run_test() as pilot:
        table = (await opened(pilot)).query_one(ResultsTable)
        await pilot.press("j", *"ooo")
        lines = [line for line in shown(pilot.app).splitlines() if " MI-" in line]
        assert lines[0].split()[0] == "MI-0.8"
        assert table.selected is not None
        assert table.selected.recipe.lambda_ == 0.2


async def test_rows_that_differ_in_decoding_say_which_they_have() -> None:
    template = views.rows()[0]
    rows = [
        template.model_copy(
            update={
                "recipe": Recipe(
                    lambda_=0.6, decoding=Decoding(temperature=temperature, top_p=top_p)
                )
            }
        )
        for temperature, top_p in ((0.6, 0.95), (0.65, 0.8), (0, 1))
    ]
    services = SteeredServices(views.view(table=rows))
    async with watching(services).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        labels = ("MI-0.6 .6/.95", "MI-0.6 .65/.8", "MI-0.6 greedy")
        await until(pilot, lambda: all(label in shown(pilot.app) for label in labels))


async def test_the_best_recipe_is_marked_by_a_sign() -> None:
    answer = views.recommendation(recipe=interpolation(0.8))
    services = SteeredServices(views.view(answer=answer))
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        assert "▸MI-0.8" in shown(pilot.app)


async def test_many_recipes_scroll_and_the_header_stays() -> None:
    template = views.rows()[0]
    rows = [
        template.model_copy(update={"recipe": interpolation(number / 60)}) for number in range(61)
    ]
    services = SteeredServices(views.view(table=rows))
    async with watching(services).run_test() as pilot:
        await until(pilot, lambda: "MI-0.1 " in shown(pilot.app))
        await pilot.press("G")
        await until(pilot, lambda: "MI-1 " in shown(pilot.app))
        assert "Mean@k" in shown(pilot.app)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "MI-1 " in shown(pilot.app)


async def test_the_plot_takes_no_focus_and_follows_the_theme() -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    async with watching(services).run_test() as pilot:
        plot = (await opened(pilot)).query_one(CurvesPlot)
        assert not plot.focusable
        assert (plot._y_min, plot._y_max) == (0.0, 104.0)
        pilot.app.theme = "mi-light"
        await pilot.pause()
        light = pilot.app.theme_variables["curve-score"]
        assert any(light in getattr(d, "line_style", "") for d in plot._datasets)


async def test_every_state_can_be_shown() -> None:
    services = SteeredServices()
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        for state in StudyState:
            services.view = views.newer(services.view, state=state)
            await look(pilot)
            assert state.value in said(pilot.app, "progress")


async def test_what_came_while_another_screen_was_open_is_shown_after_it() -> None:
    services = SteeredServices()
    async with watching(services).run_test() as pilot:
        await opened(pilot)
        await pilot.press("f1")
        await until(pilot, lambda: "Step 4" in shown(pilot.app))
        services.view = views.newer(services.view, state=StudyState.PAUSED)
        await look(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "paused" in shown(pilot.app))


async def test_the_status_tells_speed_and_memory_while_it_runs() -> None:
    services = SteeredServices()
    async with watching(services).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        assert "5400 tok/s" in said(pilot.app, "progress")
        assert "GPU 21.4 of 79.2 GiB" in said(pilot.app, "progress")


async def test_wide_screens_show_the_newest_responses_as_they_come() -> None:
    services = SteeredServices()
    async with watching(services).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "✓ MI-1 · 125 tokens" in shown(pilot.app))
        assert "Newest responses" in shown(pilot.app)
        await until(pilot, lambda: "▸ thinking, 3 words" in shown(pilot.app))
        await pilot.press("t")
        await until(pilot, lambda: "82+5=87" in shown(pilot.app))
        newest = {**services.stored[0], "id": 99, "text": "\x1b[2J[b]new[/b]", "score": 0.0}
        services.stored.insert(0, newest)
        services.view = views.newer(services.view, state=StudyState.DONE)
        await look(pilot)
        await until(pilot, lambda: "[b]new[/b]" in shown(pilot.app), tries=300)


async def test_moving_the_cursor_reads_that_recipe_and_n_follows_all_again() -> None:
    services = SteeredServices()
    async with watching(services).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "Newest responses" in shown(pilot.app))
        await pilot.press("j")
        await until(pilot, lambda: "✗ MI-0.2 · 6 tokens" in shown(pilot.app))
        assert "Responses of MI-0.2" in shown(pilot.app)
        await pilot.press("n")
        await until(pilot, lambda: "Newest responses" in shown(pilot.app))


async def test_narrow_screens_read_no_responses_unasked() -> None:
    services = SteeredServices()
    async with watching(services).run_test() as pilot:
        screen = await opened(pilot)
        await pilot.press("t", "n")
        assert "Newest responses" not in shown(pilot.app)
        assert not screen.query_one(NewestResponses).display
        await pilot.resize_terminal(130, 40)
        await until(pilot, lambda: "Newest responses" in shown(pilot.app))


async def test_bands_and_stages_lie_behind_the_curves() -> None:
    lambdas = tuple(number / 10 for number in range(11))
    curve = Curve(
        lambdas=lambdas,
        score=tuple(views.around(0.3 + 0.5 * at, 0.15) for at in lambdas),
        tokens=tuple(views.around(20 + 100 * at, 10) for at in lambdas),
        think_ratio=tuple(views.around(at, 0.05) for at in lambdas),
    )
    services = SteeredServices(views.view(answer=views.recommendation(curve=curve)))
    async with watching(services).run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: "░ 95 %" in shown(pilot.app))
        canvas = screen.query_one("#plot", QuietCanvas)
        colours = {c for line in canvas._backgrounds.values() for c in line if c}
        assert len(colours) > 8  # zones, bands and where they cross
        pilot.app.theme = "mi-ansi"
        await until(pilot, lambda: not canvas._backgrounds)
        assert "░░" in shown(pilot.app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_plots_are_drawn_without_colour(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    lambdas = (0.0, 0.5, 1.0)
    curve = Curve(
        lambdas=lambdas,
        score=tuple(views.around(0.3 + 0.5 * at, 0.15) for at in lambdas),
        tokens=tuple(views.around(20 + 100 * at, 10) for at in lambdas),
        think_ratio=tuple(views.around(at, 0.05) for at in lambdas),
    )
    services = SteeredServices(
        views.view(StudyState.DONE, answer=views.recommendation(curve=curve))
    )
    async with watching(services).run_test(size=size) as pilot:
        await opened(pilot)
        await until(pilot, lambda: "░ 95 %" in shown(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "λ interval" in shown(pilot.app))


async def test_a_study_that_has_ended_goes_on_until_settled() -> None:
    answer = views.recommendation(resolved=False)
    services = SteeredServices(views.view(StudyState.DONE, answer=answer))
    app = watching(services)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "u Continue" in shown(app))
        await pilot.press("u")
        await until(pilot, lambda: "Continue until?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "extend" in dict(services.asked))
    path, end, budget = dict(services.asked)["extend"]
    assert (path, end.amount, budget) == (services.view.path, None, None)


AT = tuple(number / 20 for number in range(21))
BANDS = Curve(
    lambdas=AT,
    score=tuple(views.around(0.3 + 0.5 * at, 0.15) for at in AT),
    tokens=tuple(views.around(20 + 100 * at, 20) for at in AT),
    think_ratio=tuple(views.around(0.9 - 0.5 * at, 0.1) for at in AT),
)


@pytest.mark.parametrize("colours", ["truecolor", "256"])
async def test_bands_keep_their_colour_where_a_blend_would_lose_it(
    colours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = SteeredServices(views.view(answer=views.recommendation(curve=BANDS)))
    app = watching(services)
    monkeypatch.setattr(type(app.console), "color_system", colours)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot)
        await until(pilot, lambda: "░ 95 %" in shown(app))
        canvas = screen.query_one("#curves #plot", QuietCanvas)
        shades = {style for row, styles in zip(canvas._buffer, canvas._styles, strict=True)
                  for cell, style in zip(row, styles, strict=True) if cell == "░"}  # fmt: skip
    assert len(shades) >= 3 if colours == "256" else not shades
