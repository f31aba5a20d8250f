"""Options in a grid: the arrow keys go where they point."""

import pytest
from textual.app import App, ComposeResult

from mi_tui.tui.widgets.choice import Checks, Option


class Grid(App[None]):
    """Seven options, three in a line."""

    def compose(self) -> ComposeResult:
        yield Checks([Option(n, str(n)) for n in range(7)], (), id="grid", per_line=3)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("down", 3),
        ("right", 1),
        ("down down", 6),
        ("down down down", 0),
        ("right down", 4),
        ("right down down", 1),
        ("up", 6),
        ("right up", 4),
        ("left", 6),
    ],
)
async def test_arrows_move_by_line_and_by_column(keys: str, expected: int) -> None:
    async with Grid().run_test() as pilot:
        await pilot.press(*keys.split(), "space")
        assert pilot.app.query_one(Checks).values == (expected,)
