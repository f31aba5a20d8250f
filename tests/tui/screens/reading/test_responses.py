"""Reading responses: hostile text is harmless, thinking is folded, λ stand side by side."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot

from mi_tui.analysis.results import RecipeSummary
from mi_tui.plan.recipe import Recipe
from mi_tui.study.view import StudyState
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.dialogs.ask import AskScreen, ConfirmScreen
from mi_tui.tui.screens.reading.case import CaseScreen
from mi_tui.tui.screens.reading.responses import ResponsesScreen
from mi_tui.tui.screens.steps.probe_run import ProbeScreen
from mi_tui.tui.studies.responses import (
    Response,
    Wanted,
    matching,
    one_per_recipe,
    read_response,
)
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def row(text: str, **changes: Any) -> dict[str, Any]:
    return {**views.stored_responses()[0], "text": text, **changes}


def test_thinking_is_parted_from_the_answer() -> None:
    response = read_response(row("<think>\na\n</think>\nb", score=1.0))
    assert (response.thinking, response.answer) == ("a", "b")
    assert (response.sign, response.verdict) == ("✓", "right")


def test_a_thought_that_was_cut_is_no_answer() -> None:
    response = read_response(row("<think>on and on", score=0.0, truncated=1))
    assert response.answer == ""
    assert response.thinking is not None
    assert response.verdict == "cut at the token cap"


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=80))
def test_no_control_character_gets_through(text: str) -> None:
    response = read_response(row(text, answer=text, failure=text))
    for part in (response.answer, response.thinking or "", response.extracted, response.failure):
        assert not [c for c in part if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160]


async def opened(pilot: Pilot[Any]) -> None:
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, ProbeScreen) and "MI-0.6" in shown(app))


def watching(services: SteeredServices) -> MiTuiApp:
    return MiTuiApp(start="watch", study=services.view.path, services=services)


async def test_markup_and_escapes_of_a_model_are_shown_as_text() -> None:
    services = SteeredServices()
    services.stored = [row("[bold red]x[/] \x1b]0;owned\x07\x1b[2J[link=http://x]")]
    services.stored[0]["recipe_key"] = services.view.rows[0].recipe.key
    app = watching(services)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("v")
        await until(pilot, lambda: "[bold red]x[/]" in shown(app))
        assert "[link=http://x]" in shown(app)
        assert "owned" not in shown(app)


LATEX = r"\frac{a_{1}}{\boxed{\text{x}}} \left( \begin{matrix} " * 2000
HOSTILE = {
    "100 kB of LaTeX": LATEX,
    "LaTeX without a break": "\\boxed{" * 15_000,
    "a huge power": r"so \boxed{2^{10^9}}",
    "nested boxes": r"\boxed{\boxed{\boxed{7}}}",
    "escape sequences": "\x1b[2J\x1b[1;1H\x1b[31mx\x1b]0;title\x07\x1bP1$r\x1b\\\x9b5n\x1b[?1049l",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x9f\u2028\u202e\u2066",
    "markup": "[bold][@click=app.quit]x[/] [/nonsense] [link=http://x]y[/link] \\[z]",
    "other scripts": "العربية עברית 漢字カナ한국어 ไทย हिन्दी 👩‍👩‍👧‍👦🏳️‍🌈 e" + "\u0301" * 500,
    "lone surrogates": "\ud800 and \udfff",
    "no answer": "",
    "a thought that never ends": "<think>" + "\x1b[2J on " * 5000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_responses_paint_nothing_but_their_own_pane(text: str) -> None:
    services = SteeredServices()
    recipe = services.view.rows[0].recipe
    services.stored = [row(text, recipe_key=recipe.key, answer=text, failure=text, problem=1)]
    app = watching(services)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("g", "v")
        await until(pilot, lambda: "not scored" in shown(app) or "(no answer)" in shown(app))
        frames = [shown(app)]
        await pilot.press("t")
        await pilot.pause()
        frames.append(shown(app))
        await pilot.press("c")
        await until(
            pilot, lambda: isinstance(app.screen, CaseScreen) and recipe.label in shown(app)
        )
        frames.append(shown(app))
    for frame in frames:
        lines = frame.split("\n")
        assert len(lines) == 24
        assert {cell_len(line) for line in lines} == {80}
        assert lines[0].startswith(" mi-tui ")
        assert "esc Back" in lines[-1]
        assert not [c for c in frame if c != "\n" and unicodedata.category(c) in ("Cc", "Cs")]
        assert not {"\u202e", "\u2066", "\u2028"} & set(frame)


async def test_responses_unfold_and_compare() -> None:
    services = SteeredServices()
    app = watching(services)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("G", "v")
        await until(pilot, lambda: isinstance(app.screen, ResponsesScreen))
        await until(pilot, lambda: "thinking, 3 words" in shown(app))
        assert "Compute 8+9-4" in shown(app)
        await pilot.press("t")
        await until(pilot, lambda: "82+5=87" in shown(app))
        await pilot.press("j")
        await until(pilot, lambda: "Compute 47*6+5-8" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CaseScreen) and "MI-0.2" in shown(app))
        assert "MI-0 " in shown(app)
        await pilot.press("n")
        await until(pilot, lambda: "Compute 8+9-4" in shown(app))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen))


async def test_another_lambda_can_be_asked_for() -> None:
    services = SteeredServices()
    app = watching(services)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("end", *", 2", "enter")
        await until(pilot, lambda: "values from 0 to 1" in shown(app))
        assert isinstance(app.screen, AskScreen)
        await pilot.press("backspace", *"0.7", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProbeScreen))
        await pilot.pause()
    added = [data["recipe"] for kind, data in services.asked if kind == "add"]
    assert [Recipe.model_validate(recipe).lambda_ for recipe in added] == [0.55, 0.7]


async def test_more_samples_and_drop_speak_of_the_recipe_under_the_cursor() -> None:
    services = SteeredServices(views.view(StudyState.PAUSED))
    key = services.view.rows[1].recipe.key
    app = watching(services)
    async with app.run_test() as pilot:
        await opened(pilot)
        await pilot.press("j", "m")
        await until(pilot, lambda: "more samples per problem of MI-0.2" in shown(app))
        await pilot.press("backspace", "8", "enter")
        await until(pilot, lambda: ("more", {"recipe": key, "samples": 8}) in services.asked)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("n")
        assert "drop" not in {kind for kind, _ in services.asked}
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: ("drop", {"recipe": key}) in services.asked)


def test_compared_are_samples_that_all_recipes_have() -> None:
    table = views.rows()[:3]

    def response(row: RecipeSummary, sample: int) -> Response:
        stored = {**views.stored_responses()[0], "recipe_key": row.recipe.key, "sample": sample}
        return read_response(stored)

    some = [response(row, sample) for row in table for sample in (2, 3)]
    some += [response(table[0], 0), response(table[1], 1)]
    assert [found.sample for _, found in one_per_recipe(some, table)] == [2, 2, 2]
    alone = [response(table[0], 0), response(table[1], 1)]
    assert [found.sample for _, found in one_per_recipe(alone, table)] == [0, 1]


def test_responses_are_chosen_by_kind_and_by_text() -> None:
    right = read_response(row("<think>ab</think>The Answer", score=1.0))
    wrong = read_response(row("no", score=0.0, problem=1))
    cut = read_response(row("no end", score=0.0, truncated=1, problem=0))
    some = [right, wrong, cut]

    def found(wanted: Wanted, text: str = "") -> list[Response]:
        return matching(some, wanted, text, lambda index: f"question {index}")

    assert found(Wanted.ALL) == some
    assert found(Wanted.WRONG) == [wrong, cut]
    assert found(Wanted.CUT) == [cut]
    assert found(Wanted.ALL, "the answer") == [right]
    assert found(Wanted.ALL, "AB") == [right]
    assert found(Wanted.WRONG, "question 1") == [wrong]


async def test_the_list_shows_the_wrong_ones_or_those_with_a_text() -> None:
    services = SteeredServices(views.view(StudyState.DONE))
    for number, stored in enumerate(services.stored):
        stored |= {"score": float(number % 2), "text": f"text {number % 2}"}
    app = MiTuiApp(start="watch", study=services.view.path, services=services)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
        await pilot.press("v")
        await until(pilot, lambda: "text 0" in shown(app))
        await pilot.press("w")
        await until(pilot, lambda: "wrong only: 1 of the newest 2" in shown(app))
        await pilot.press("slash", *"text 1", "enter")
        await until(pilot, lambda: "wrong only, with 'text 1': 0 of the newest 2" in shown(app))
        await pilot.press("w")
        await until(pilot, lambda: "with 'text 1': 1 of the newest 2" in shown(app))
