"""A theme's colours by name, as Rich writes them."""

from functools import partial
from typing import Any

from textual.app import App

from mi_tui.present.colours import Colours


def rich_colour(app: App[Any], name: str) -> str:
    """The theme variable ``name`` as a Rich colour; the terminal's own where there is none."""
    colour = app.theme_variables.get(name, "default")
    return colour.removeprefix("ansi_").split(" ")[0]


def colours_of(app: App[Any]) -> Colours:
    """The colours of the app's theme, for texts that know no app."""
    return partial(rich_colour, app)
