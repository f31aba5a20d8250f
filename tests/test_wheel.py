"""The wheel is the whole product: presets, themes, the demo pair, and the compiled kernel."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from hatch_build import LIBRARY, SOURCE, KernelHook, compile_kernel

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package installed from its wheel, away from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build(REPOSITORY, "wheel", folder)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True)
    return target


def build(project: Path, target: str, folder: Path, **environment: str) -> str:
    """What hatchling says while it builds."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    env = {name: value for name, value in os.environ.items() if name != "MI_TUI_PURE"}
    done = subprocess.run(
        command, cwd=project, env=env | environment, check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def run_installed(installed: Path, *arguments: str) -> str:
    """The output of the installed command, with the checkout out of sight."""
    start = "import sys; from mi_tui.cli.main import run; import mi_tui.paths as r; "
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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The least of the project that can be built."""
    folder = tmp_path / "project"
    (folder / SOURCE.parent).mkdir(parents=True)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("mi_tui/__init__.py", str(SOURCE)):
        shutil.copy(REPOSITORY / name, folder / name)
    for name in ("presets", "themes"):
        (folder / name).mkdir()
    return folder


def test_the_kernel_is_compiled_or_the_wheel_is_pure(project: Path) -> None:
    library = project / LIBRARY
    said = build(project, "wheel", project / "pure", MI_TUI_PURE="1")
    assert "without its compiled kernel: MI_TUI_PURE is set" in said
    assert [wheel.name[-12:] for wheel in (project / "pure").iterdir()] == ["none-any.whl"]
    said = build(project, "wheel", project / "compiled")
    (wheel,) = (project / "compiled").iterdir()
    if "there is no C compiler" in said:
        pytest.skip("there is no C compiler")
    assert "-py3-none-" in wheel.name
    assert "none-any" not in wheel.name
    with ZipFile(wheel) as content:
        assert str(LIBRARY) in content.namelist()
    assert not library.exists()


@pytest.mark.parametrize(("target", "pure"), [("sdist", ""), ("wheel", "1"), ("wheel", "")])
def test_two_builds_are_the_same_bytes(
    project: Path, tmp_path: Path, target: str, pure: str
) -> None:
    """Neither the folder, nor times, nor permissions of files reach what is built."""
    elsewhere = tmp_path / "a longer name" / "copy"
    shutil.copytree(project, elsewhere, copy_function=shutil.copyfile)
    for number, file in enumerate(sorted(elsewhere.rglob("*"))):
        os.utime(file, (number, number))
        if file.is_file():
            file.chmod(0o600)
    options = {"SOURCE_DATE_EPOCH": "1700000000", "MI_TUI_PURE": pure}
    for place in (project, elsewhere):
        build(place, target, place / "dist", **options)
    (first,), (second,) = ((place / "dist").iterdir() for place in (project, elsewhere))
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    if target == "sdist":
        build(elsewhere, target, elsewhere / "later", SOURCE_DATE_EPOCH="1800000000")
        assert (elsewhere / "later" / first.name).read_bytes() != first.read_bytes()


def test_a_compiler_that_cannot_leaves_a_pure_wheel(project: Path) -> None:
    said = build(project, "wheel", project / "dist", CC="false")
    assert "without its compiled kernel: false failed" in said
    assert [wheel.name[-12:] for wheel in (project / "dist").iterdir()] == ["none-any.whl"]


def test_an_editable_installation_has_the_kernel_in_the_checkout(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = project / LIBRARY
    unused: Any = None
    hook = KernelHook(str(project), {}, unused, unused, str(project), "wheel")
    monkeypatch.delenv("MI_TUI_PURE", raising=False)
    hook.initialize("editable", {})
    hook.finalize("editable", {}, "")
    if not library.is_file():
        assert compile_kernel(project / SOURCE, library) == "there is no C compiler"
        pytest.skip("there is no C compiler")
    monkeypatch.setenv("MI_TUI_PURE", "1")
    hook.initialize("editable", {})
    assert not library.exists()


def test_the_sdist_can_compile_the_kernel(project: Path, tmp_path: Path) -> None:
    build(project, "sdist", tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        # Python 3.11.4 is the first to have it.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    (unpacked / "presets").mkdir(exist_ok=True)
    (unpacked / "themes").mkdir(exist_ok=True)
    said = build(unpacked, "wheel", tmp_path / "dist")
    wheels = [wheel.name for wheel in (tmp_path / "dist").iterdir()]
    assert ("none-any" in wheels[0]) == ("there is no C compiler" in said)
