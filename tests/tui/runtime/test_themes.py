"""Themes: bundled ones hold together, bad files are named and skipped."""

import re
from pathlib import Path

import pytest
from textual.color import Color

from mi_tui.errors import MiTuiError
from mi_tui.paths import themes_folder
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.runtime.themes import DEFAULT_THEME, load_themes, read_theme, user_themes_folder
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices

BUNDLED = sorted(themes_folder().glob("*.toml"))


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_bundled_themes_are_valid_and_named_after_their_file(path: Path) -> None:
    assert read_theme(path).name == path.stem


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_text_can_be_read(path: Path) -> None:
    """WCAG's contrast: 4.5 for text, 3 for signs and curves."""
    theme = read_theme(path)
    if theme.ansi:
        return
    background = Color.parse(theme.background or "")
    for name in ("foreground", "primary", "secondary", "accent", "success", "warning", "error"):
        assert contrast(Color.parse(getattr(theme, name)), background) >= 4.5, name
    for name, colour in theme.variables.items():
        if name.startswith("curve-"):
            assert contrast(Color.parse(colour), background) >= 3.0, name


def contrast(one: Color, other: Color) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Color) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(channel) for channel in colour.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("#7aa2f7", "blueish"), "blueish"),
        (('name = "mi-dark"', 'nome = "mi-dark"'), "nome"),
        (("[curves]", "[curves"), "cannot be read"),
        (('score = "#9ece6a"\n', ""), "curves.score"),
    ],
)
def test_a_bad_file_is_named_and_the_others_stay(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    good = (themes_folder() / "mi-dark.toml").read_text()
    (tmp_path / "good.toml").write_text(good)
    (tmp_path / "bad.toml").write_text(good.replace(*change))
    themes, problems = load_themes([tmp_path])
    assert [theme.name for theme in themes] == ["mi-dark"]
    assert len(problems) == 1
    assert "bad.toml" in problems[0].message
    assert said in problems[0].message
    assert "\n" not in problems[0].message


async def test_the_users_theme_replaces_a_bundled_one_and_a_bad_one_is_told() -> None:
    folder = user_themes_folder()
    folder.mkdir(parents=True)
    text = (themes_folder() / "mi-dark.toml").read_text()
    (folder / "mine.toml").write_text(re.sub("#16181f", "#000000", text))
    (folder / "broken.toml").write_text("name = 1")
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: "broken.toml" in shown(app))
        assert app.theme == DEFAULT_THEME
        assert app.current_theme.background == "#000000"


def test_an_unknown_theme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MiTuiError, match="mi-light"):
        MiTuiApp(theme="mi-purple", services=SteeredServices())


async def test_a_theme_file_that_is_saved_is_seen_at_once() -> None:
    folder = user_themes_folder()
    folder.mkdir(parents=True)
    text = (themes_folder() / "mi-dark.toml").read_text().replace('"mi-dark"', '"mine"')
    (folder / "mine.toml").write_text(text)
    app = MiTuiApp(services=SteeredServices(), theme="mine")
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.theme_variables["background"].lower() == "#16181f")
        (folder / "mine.toml").write_text(text.replace("#16181f", "#001122"))
        await until(pilot, lambda: app.theme_variables["background"] == "#001122", tries=400)
        (folder / "mine.toml").write_text("name = 1")
        await until(pilot, lambda: "mine.toml" in shown(app), tries=400)
        assert app.theme_variables["background"] == "#001122"


async def test_a_new_theme_file_appears_in_the_list_of_themes() -> None:
    app = MiTuiApp(services=SteeredServices())
    async with app.run_test() as pilot:
        app.action_change_theme()
        await until(pilot, lambda: "mi-light" in shown(app))
        folder = user_themes_folder()
        folder.mkdir(parents=True)
        text = (themes_folder() / "mi-light.toml").read_text()
        (folder / "fresh.toml").write_text(text.replace('"mi-light"', '"aa-fresh"'))
        await until(pilot, lambda: "aa-fresh" in app.available_themes, tries=400)
        await pilot.press("G")
        await until(pilot, lambda: app.theme == "aa-fresh")


async def test_textuals_own_themes_work_too() -> None:
    services = SteeredServices(views.view(answer=views.recommendation()))
    app = MiTuiApp(start="watch", study=Path("/s"), services=services, theme="nord")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "MI-0.6" in shown(app))
