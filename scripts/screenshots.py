"""The README's screenshots: the demo walked through, one of every step.

``make screenshots``; runs the real demo study in a folder of its own, about a minute.
"""

import asyncio
import os
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
SIZE = (120, 36)
STUDIES = "~/.local/share/mi-tui/studies"
"""Where the pictures say that the study lies, as it would for a user."""


async def walk() -> None:
    """Go through the five steps and save each screen as SVG."""
    # The studies folder is chosen by the environment, which must be set before.
    from textual.pilot import Pilot

    from mi_tui.study.control import list_studies
    from mi_tui.tui.app import MiTuiApp

    app = MiTuiApp(start="home")

    async def save(pilot: Pilot[str], name: str) -> None:
        await pilot.pause(1.5)
        picture = app.export_screenshot().replace(os.environ["MI_TUI_STUDIES"], STUDIES)
        (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")
        print(FOLDER / f"{name}.svg")

    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("d")
        for name in ("models", "budget", "scope"):
            await save(pilot, name)
            await pilot.press("enter")
        await pilot.pause(3.0)
        half = False
        while list_studies()[0].state.is_active:
            await pilot.pause(0.5)
            entry = list_studies()[0]
            if not half and entry.rollouts > 0.6 * entry.planned > 0:
                await save(pilot, "probe")
                half = True
        await pilot.pause(2.0)
        await pilot.press("enter")
        await pilot.pause(2.0)
        await save(pilot, "recommend")
        await pilot.press("escape", "escape", "G")
        await save(pilot, "home")
        await pilot.press("q")


def main() -> None:
    """Draw into docs/screenshots."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            MI_TUI_STUDIES=f"{folder}/studies",
            XDG_CONFIG_HOME=f"{folder}/config",
            XDG_STATE_HOME=f"{folder}/state",
            COLORTERM="truecolor",
        )
        asyncio.run(walk())


if __name__ == "__main__":
    main()
