"""Commands of the app: settings kept as a preset, and none replaced unasked."""

from pathlib import Path

from mi_tui.plan.preset import Preset
from mi_tui.plan.remote_code import RemoteCode, is_allowed, require_allowed
from mi_tui.plan.toml import read_preset
from mi_tui.tui.app import MiTuiApp
from mi_tui.tui.screens.steps.models import ModelsScreen
from mi_tui.tui.studies.messages import StartStudy
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.services import SteeredServices


def demo(services: SteeredServices | None = None) -> MiTuiApp:
    return MiTuiApp(start="demo", preset=views.preset(), services=services or SteeredServices())


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


THEIRS = RemoteCode("owner/theirs", "c0ffee00c0ffee00", ("modeling_theirs.py",))


class NeedsConsent(SteeredServices):
    """Starts studies only once their code is allowed."""

    def create_and_start(self, preset: Preset, name: str = "") -> Path:
        require_allowed([THEIRS])
        return super().create_and_start(preset, name)


async def test_code_of_others_is_asked_about_and_the_answer_is_kept() -> None:
    services = NeedsConsent()
    app = demo(services)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        for answer in ("n", "y"):
            app.post_message(StartStudy(views.preset()))
            await until(pilot, lambda: "owner/theirs at revision c0ffee00c0ff" in shown(app))
            assert "modeling_theirs.py" in shown(app)
            assert not is_allowed(THEIRS)
            await pilot.press(answer)
            await until(pilot, lambda: "owner/theirs" not in shown(app))
        await until(pilot, lambda: ("start", views.preset()) in services.asked)
    assert is_allowed(THEIRS)
    assert services.asked.count(("start", views.preset())) == 1
