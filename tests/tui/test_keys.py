"""What eases the work: palette, jump, themes with preview, presets saved, keys bound anew."""

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input

from mi_tui.plan.toml import read_preset
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.keys import as_markdown, keys_of, places
from mi_tui.tui.runtime import state
from mi_tui.tui.runtime.completion import CheckpointSuggester, cached_models, partner
from mi_tui.tui.runtime.config import config_path
from mi_tui.tui.screens.dialogs.help import page_text
from mi_tui.tui.screens.dialogs.jump import LETTERS, JumpScreen
from mi_tui.tui.screens.dialogs.themes import ThemesScreen
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.screens.steps.scope import ScopeScreen
from mi_tui.tui.widgets.menu import MenuList
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def demo(services: SteeredServices | None = None) -> MiTuiApp:
    return MiTuiApp(start="demo", preset=views.preset(), services=services or SteeredServices())


async def test_jump_goes_to_any_field_in_two_keys() -> None:
    app = demo()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        assert app.focused is not None
        assert app.focused.id == "base"
        await pilot.press("f3", "escape")
        assert app.focused.id == "base"


async def test_a_theme_is_seen_before_it_is_chosen_and_remembered() -> None:
    app = demo()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        app.action_change_theme()
        await until(pilot, lambda: isinstance(app.screen, ThemesScreen))
        await pilot.press("down")
        await until(pilot, lambda: app.theme == "mi-light")
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == "mi-dark")
        app.action_change_theme()
        await until(pilot, lambda: isinstance(app.screen, ThemesScreen))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
    assert MiTuiApp(services=SteeredServices()).theme == "mi-light"
    assert MiTuiApp(services=SteeredServices(), theme="mi-ansi").theme == "mi-ansi"


async def test_textuals_own_themes_work_too() -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    app = MiTuiApp(start="watch", study=Path("/s"), services=services, theme="nord")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))


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


async def test_settings_can_be_kept_as_a_preset(tmp_path: Path) -> None:
    app = demo()
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press("f2")
        await until(pilot, lambda: "Save as a preset" in shown(app))
        await pilot.press("end", "/", "enter")
        await until(pilot, lambda: "letters, digits" in shown(app))
        await pilot.press("backspace", "2", "enter")
        await until(pilot, lambda: "Saved" in shown(app))
    saved = tmp_path / "config" / "mi-tui" / "presets" / "demo2.toml"
    assert read_preset(saved) == views.preset()


async def test_a_preset_of_that_name_is_replaced_only_after_a_yes(tmp_path: Path) -> None:
    saved = tmp_path / "config" / "mi-tui" / "presets" / "demo.toml"
    saved.parent.mkdir(parents=True)
    saved.write_text("# mine\n")
    app = demo()
    async with app.run_test(notifications=True) as pilot:
        for answer in ("n", "y"):
            await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
            await pilot.press("f2")
            await until(pilot, lambda: "Save as a preset" in shown(app))
            await pilot.press("enter")
            await until(pilot, lambda: "Replace your preset demo?" in shown(app))
            assert saved.read_text() == "# mine\n"
            await pilot.press(answer)
        await until(pilot, lambda: "Saved" in shown(app))
    assert read_preset(saved) == views.preset()


async def test_keys_can_be_bound_anew_and_mistakes_are_told() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('theme = "mi-light"\n[keys]\n"home.demo" = "z"\n"no.such" = "y"\n')
    app = MiTuiApp(services=SteeredServices())
    assert app.theme == "mi-light"
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: "no key has the id" in shown(app))
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
        await until(pilot, lambda: "unknown key colour" in shown(app).replace("\n", " "))


def test_remembering_survives_nonsense(tmp_path: Path) -> None:
    state.remember("theme", "x")
    assert state.remembered("theme") == "x"
    state.state_path().write_text("[1")
    assert state.remembered("theme") is None
    state.remember("theme", "y")
    assert state.remembered("theme") == "y"


@pytest.mark.parametrize(
    ("instruct", "likely"),
    [
        ("Qwen/Qwen3-4B-Instruct-2507", "Qwen/Qwen3-4B-Thinking-2507"),
        ("./qwen-instruct", "./qwen-thinking"),
        ("bundled:instruct", "bundled:thinking"),
        ("Qwen/Qwen3-4B-Thinking-2507", "Qwen/Qwen3-4B-Instruct-2507"),
        ("MODEL-INSTRUCT", "MODEL-THINKING"),
        ("google/gemma-3-4b-it", "google/gemma-3-4b-thinking"),
        ("bundled:thinking", "bundled:instruct"),
        ("bundled:base", None),
        ("a/Llama-8B-Items", None),
        ("meta-llama/Llama-3-8B", None),
    ],
)
def test_the_likely_partner(
    instruct: str, likely: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert partner(instruct) == likely


def test_a_partner_that_is_here_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert partner("a/B-Instruct-1") == "a/B-Thinking-1"
    (tmp_path / "models--a--B-Reasoning-2").mkdir()
    assert partner("a/B-Instruct-1") == "a/B-Reasoning-2"
    for name in ("X-Instruct", "X-Thinking-v2"):
        (tmp_path / name).mkdir()
    assert partner(f"{tmp_path}/X-Instruct") == f"{tmp_path}/X-Thinking-v2"


async def test_names_complete_from_cache_and_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--Qwen--Qwen3-4B--x").mkdir()
    (tmp_path / "datasets--a--b").mkdir()
    assert cached_models() == ["Qwen/Qwen3-4B--x"]
    suggester = CheckpointSuggester()
    assert await suggester.get_suggestion("Qw") == "Qwen/Qwen3-4B--x"
    assert await suggester.get_suggestion("bundled:t") == "bundled:thinking"
    assert (
        await suggester.get_suggestion(f"{tmp_path}/mod") == f"{tmp_path}/models--Qwen--Qwen3-4B--x"
    )
    assert await suggester.get_suggestion("/no/such/folder/x") is None
    assert await suggester.get_suggestion("") is None


async def test_right_takes_the_likely_partner() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        await pilot.press(*"a/B-Instruct", "tab", "right")
        await pilot.pause()
        assert app.screen.query_one("#thinking", Input).value == "a/B-Thinking"


def test_the_documented_keys_are_the_keys() -> None:
    docs = Path(__file__).parents[2] / "docs" / "keys.md"
    assert docs.read_text(encoding="utf-8").endswith(as_markdown())


def test_no_key_needs_a_chord_that_terminals_swallow() -> None:
    swallowed = {"ctrl+a", "ctrl+b", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+s", "ctrl+z"}
    for _, place in places():
        for key in keys_of(place):
            for one in key.keys.split(","):
                assert one not in swallowed
                assert not one.startswith(("shift+", "alt+", "super+"))
                assert one not in ("ctrl+enter",)


def test_ids_are_unique_and_every_key_is_explained() -> None:
    ids = [key.id for _, place in places() for key in keys_of(place)]
    assert len(ids) == len(set(ids))
    assert all(
        key.id and key.tooltip and key.name for _, place in places() for key in keys_of(place)
    )


def test_every_page_of_help_is_there_and_fits_a_narrow_terminal() -> None:
    pages = {page for _, place in places() if (page := getattr(place, "HELP_PAGE", None))}
    pages.add("budget")
    assert {"home", "presets", "models", "scope", "probe", "recommend"} <= pages
    for page in pages:
        lines = page_text(page).splitlines()
        assert lines[0].startswith("# ")
        assert max(map(len, lines)) <= 79, page


def test_the_help_teaches_what_lambda_and_the_stages_are() -> None:
    assert "W(λ) = λ · Thinking + (1 − λ) · Instruct" in page_text("home")
    for page in ("scope", "probe"):
        assert "stage" in page_text(page)
    for word in ("weight", "held out", "Can tell", "f5", "f7"):
        assert word in page_text("scope")


async def test_jump_reaches_every_field_of_the_longest_form() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(size=(120, 40)) as pilot:
        app.push_screen(ScopeScreen(draft_of(views.preset()), SteeredServices()))
        await until(pilot, lambda: "What is tried" in shown(app) and "minutes" in shown(app))
        fields = [w.id for w in app.screen.focus_chain]
        assert len(fields) <= len(LETTERS)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press(LETTERS[fields.index("max-minutes")])
        await until(pilot, lambda: app.focused is not None and app.focused.id == "max-minutes")


async def test_lists_take_vims_keys() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "New study" in shown(app))
        listed = app.screen.query_one(MenuList)
        places_ = []
        for key in ("g", "j", "j", "k", "G"):
            await pilot.press(key)
            places_.append(listed.highlighted)
        assert places_ == [1, 2, 3, 2, 3]
