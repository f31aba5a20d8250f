"""A theme's colours by name, as Rich writes them."""

from typing import Any

from textual.app import App


def rich_colour(app: App[Any], name: str) -> str:
    """The theme variable ``name`` as a Rich colour; the terminal's own where there is none."""
    colour = app.theme_variables.get(name, "default")
    return colour.removeprefix("ansi_").split(" ")[0]
