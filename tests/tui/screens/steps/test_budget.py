"""Tokens and seconds, one in terms of the other, on the Budget step."""

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from mi_tui.analysis.latency import Latency
from mi_tui.analysis.results import LatencyPoint
from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.engine import ServerSpeed
from mi_tui.present.speed import tokens_and_seconds
from mi_tui.study.known_speeds import KnownSpeed
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.screens.steps.budget import BudgetScreen
from mi_tui.tui.widgets.choice import Choice
from tests.tui import views
from tests.tui.driving import said, shown, until
from tests.tui.services import SteeredServices

SERVER = ServerSpeed(time_to_first_token=0.2, time_per_output_token=0.02)
KNOWN = KnownSpeed(
    "demo-20261122-120000",
    "box · cuda · bfloat16",
    Latency(0.1, 0.01),
    (LatencyPoint(1, 0.1, 0.01), LatencyPoint(16, 0.2, 0.04)),
    0.0,
)


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ("tokens<=2001", "2,001 tokens take about 40 s."),
        ("seconds<=30", "30 s hold about 1,491 tokens."),
        ("p95 seconds<=30", "30 s hold about 1,491 tokens."),
        ("seconds<=0.1", "0.1 s end before the first token."),
    ],
)
def test_the_users_figures_turn_one_unit_into_the_other(budget: str, told: str) -> None:
    lines = tokens_and_seconds(parse_budget(budget), SERVER, KNOWN)
    assert lines[0] == told
    assert "200 ms to the first token, then 20 ms each: the figures you give" in lines[1]


def test_a_measurement_says_where_it_comes_from_and_what_load_does() -> None:
    lines = tokens_and_seconds(parse_budget("seconds<=10"), None, KNOWN)
    assert lines[0] == "10 s hold about 991 tokens."
    assert "measured in demo-20261122-120000 on box · cuda · bfloat16" in lines[1]
    assert lines[2] == "With more at once: 246 tokens at 16."
    assert "40 s at 16" in tokens_and_seconds(parse_budget("tokens<=1000"), None, KNOWN)[2]


def test_without_figures_nothing_is_invented() -> None:
    assert (
        "measured here when the study starts"
        in tokens_and_seconds(parse_budget("seconds<=9"), None, None)[0]
    )
    assert (
        tokens_and_seconds(Budget(objective="fewest-tokens-for-score", limit=0.8), SERVER, KNOWN)
        == ()
    )
    assert tokens_and_seconds(Budget(), None, KNOWN) == ()


async def to_budget(pilot: Pilot[Any], services: SteeredServices) -> BudgetScreen:
    screen = BudgetScreen(draft_of(views.preset()), services)
    pilot.app.push_screen(screen)
    await until(pilot, lambda: "Find the λ" in shown(pilot.app))
    return screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_server_is_typed_in_and_changes_what_the_limit_means(size: tuple[int, int]) -> None:
    services = SteeredServices()
    services.speed = KNOWN
    app = MiTuiApp(services=services)
    async with app.run_test(size=size) as pilot:
        screen = await to_budget(pilot, services)
        await until(pilot, lambda: "80 tokens take about 0.89 s" in said(app, "forecast"))
        assert not screen.query_one("#row-server").display
        assert "at 16" in shown(app), "the last line is not cut off"
        screen.set_focus(screen.query_one("#speed", Choice))
        await pilot.press("right")
        await until(pilot, lambda: "the figures you give" in shown(app))
        screen.query_one("#per-token", Input).value = "100"
        await until(pilot, lambda: "80 tokens take about 8.10 s" in said(app, "forecast"))
        assert screen.checked.preset is not None
        assert screen.checked.preset.server == ServerSpeed(
            time_to_first_token=0.2, time_per_output_token=0.1
        )
        screen.query_one("#per-token", Input).value = "0"
        await until(pilot, lambda: "more than 0" in shown(app))
        screen.query_one("#objective", Choice).focus()
        await pilot.press("up")
        await until(pilot, lambda: "no limit needed" in shown(app))
        assert "of your server" not in shown(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_the_answer_is_about_is_chosen_in_words(size: tuple[int, int]) -> None:
    services = SteeredServices()
    app = MiTuiApp(services=services)
    async with app.run_test(size=size) as pilot:
        screen = await to_budget(pilot, services)
        assert "new problems like these" in shown(app)
        screen.set_focus(screen.query_one("#about", Choice))
        await pilot.press("right")
        await until(pilot, lambda: "over these problems themselves" in said(app, "forecast"))
        assert "are held out of the search" in said(app, "forecast")
        assert screen.checked.preset is not None
        assert screen.checked.preset.budget.about == "these-problems"
        assert draft_of(screen.checked.preset).about == "these-problems"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_further_limits_are_typed_and_a_slip_is_asked_about(size: tuple[int, int]) -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=size) as pilot:
        screen = await to_budget(pilot, SteeredServices())
        assert not screen.query_one("#row-probe").display
        also = screen.query_one("#also", Input)
        screen.set_focus(also)
        also.value = "score>95"
        await until(pilot, lambda: "did you mean score>=95% or" in shown(app))
        also.value = "score[other]>=0.5"
        await until(pilot, lambda: "no probe other" in shown(app))
        also.value = "score>=95% and score[arithmetic]>=0.5"
        await until(pilot, lambda: "of Thinking's score and a score of" in said(app, "forecast"))
        assert screen.checked.preset is not None
        budget = screen.checked.preset.budget
        assert budget.spec == "tokens<=80 and score>=95% and score[arithmetic]>=0.5"
        assert draft_of(screen.checked.preset).also == "score>=95% and score[arithmetic]>=0.5"
        also.value = "tokens<=90"
        await until(pilot, lambda: "limit the same" in shown(app))


def test_every_limit_is_said_in_the_other_unit() -> None:
    budget = parse_budget("score>=0.5 and tokens<=2001 and seconds<=30")
    lines = tokens_and_seconds(budget, SERVER, None)
    assert lines[0] == "2,001 tokens take about 40 s."
    assert lines[1] == "30 s hold about 1,491 tokens."
