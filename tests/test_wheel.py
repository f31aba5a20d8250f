"""The wheel is the whole product: presets, themes and the demo pair come with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package installed from its wheel, away from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True)
    return target


def run_installed(installed: Path, *arguments: str) -> str:
    """The output of the installed command, with the checkout out of sight."""
    start = "import sys; from mi_tui.cli.main import run; import mi_tui.resources as r; "
    check = f"assert str(r.presets_folder()).startswith({str(installed)!r}); run()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", start + check, *arguments],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_presets_and_themes_come_with_the_wheel(installed: Path) -> None:
    assert "demo" in run_installed(installed, "presets")
    themes = run_installed(installed, "themes")
    assert "mi-dark" in themes
    assert "mi-light" in themes


def test_the_demo_pair_comes_with_the_wheel(installed: Path) -> None:
    report = run_installed(installed, "check", "bundled:instruct", "bundled:thinking")
    assert "✗" not in report


def test_help_and_templates_come_with_the_wheel(installed: Path) -> None:
    package = installed / "mi_tui"
    assert (package / "export" / "templates" / "report.html").is_file()
    assert (package / "tui" / "app.tcss").is_file()
    assert (package / "tui" / "guide.tcss").is_file()
    assert len(list((package / "tui" / "help").glob("*.md"))) >= 6
    assert (package / "py.typed").is_file()
