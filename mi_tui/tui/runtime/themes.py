"""Themes as TOML files, read strictly; a bad file is named and skipped."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from textual.theme import Theme

from mi_tui.paths import config_folder, themes_folder
from mi_tui.plan.toml import explain

DEFAULT_THEME = "mi-dark"

FALLBACK_CURVES = {
    "curve-score": "ansi_green",
    "curve-tokens": "ansi_yellow",
    "curve-think": "ansi_cyan",
    "curve-stage-1": "ansi_default",
    "curve-stage-2": "ansi_green",
    "curve-stage-3": "ansi_yellow",
}
"""For Textual's own themes, which know nothing of curves."""

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})(?: \d{1,3}%)?")
_ANSI = re.compile(
    r"ansi_(?:default|(?:bright_)?(?:black|red|green|yellow|blue|magenta|cyan|white))"
)


def _colour(text: str) -> str:
    if _HEX.fullmatch(text) or _ANSI.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is no colour: write #rrggbb or ansi_blue")


Colour = Annotated[str, AfterValidator(_colour)]


class _Colours(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    primary: Colour
    secondary: Colour
    accent: Colour
    success: Colour
    warning: Colour
    error: Colour
    foreground: Colour
    background: Colour
    surface: Colour
    panel: Colour


class _CurveColours(BaseModel):
    """The colours of the plot's curves and of the three stages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Colour
    tokens: Colour
    think: Colour
    stage_1: Colour = Field(alias="stage-1")
    stage_2: Colour = Field(alias="stage-2")
    stage_3: Colour = Field(alias="stage-3")


class _ThemeFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)
    description: str = ""
    dark: bool = True
    ansi: bool = False
    colors: _Colours
    curves: _CurveColours
    variables: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class ThemeProblem:
    """A theme file that was skipped, and why, in one line."""

    path: Path
    message: str


def user_themes_folder() -> Path:
    """Where the user's own themes lie; the folder need not exist."""
    return config_folder() / "themes"


def load_themes(
    folders: Iterable[Path] | None = None,
) -> tuple[tuple[Theme, ...], tuple[ThemeProblem, ...]]:
    """Every valid theme of the folders, and the files that had to be skipped.

    A later folder's theme replaces an earlier one of the same name. Without ``folders``: the
    bundled themes, then the user's.
    """
    themes: dict[str, Theme] = {}
    problems = []
    for folder in folders or (themes_folder(), user_themes_folder()):
        for path in sorted(folder.glob("*.toml")):
            try:
                theme = read_theme(path)
            except ValueError as error:
                problems.append(ThemeProblem(path, str(error)))
            else:
                themes[theme.name] = theme
    return tuple(themes.values()), tuple(problems)


def read_theme(path: Path) -> Theme:
    """The theme in a TOML file.

    Raises:
        ValueError: one line with the file, the key and what is allowed.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        file = _ThemeFile.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"theme {path}: {explain(error.errors())}") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"theme {path} cannot be read: {error}") from error
    except RecursionError as error:
        raise ValueError(f"theme {path} cannot be read: it is nested too deeply") from error
    curves = file.curves.model_dump(by_alias=True)
    return Theme(
        name=file.name,
        dark=file.dark,
        ansi=file.ansi,
        variables={f"curve-{name}": colour for name, colour in curves.items()} | file.variables,
        **file.colors.model_dump(),
    )
