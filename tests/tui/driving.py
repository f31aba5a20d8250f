"""Helpers that read a running app as a user would: by what is on the screen."""

from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static


def shown(app: App[Any]) -> str:
    """All text on the screen, as the terminal would show it."""
    screen = app.screen
    strips = screen._compositor.render_strips(screen.size)
    return "\n".join(strip.text for strip in strips)


def said(app: App[Any], id: str) -> str:
    """The text of one widget of the open screen."""
    return str(app.screen.query_one(f"#{id}", Static).render())


async def until(pilot: Pilot[Any], happened: Callable[[], bool], tries: int = 200) -> None:
    """Let the app work until something has happened; fail with the screen's text otherwise."""
    for _ in range(tries):
        if happened():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"did not happen; the screen shows:\n{shown(pilot.app)}")
