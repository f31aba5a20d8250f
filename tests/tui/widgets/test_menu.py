"""Lists that take the keys of vim."""

from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.widgets.menu import MenuList
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


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
