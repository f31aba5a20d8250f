"""The package itself: light to import, and all of its names are there."""

import subprocess
import sys

import pytest

import mi_tui

HEAVY = "torch transformers textual numpy scipy pydantic rich sqlite3 typer"


def loaded_after(code: str) -> list[str]:
    show = f"import sys\nprint(*[m for m in {HEAVY.split()!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import mi_tui; dir(mi_tui); mi_tui.__version__; mi_tui.MiTuiError") == []


def test_the_whole_interface_loads_no_torch_and_no_screen() -> None:
    names = "; ".join(f"mi_tui.{name}" for name in mi_tui.__all__)
    found = loaded_after(f"import mi_tui; {names}")
    assert not {"torch", "transformers", "textual", "typer"} & set(found)


def test_every_name_is_there_and_no_other() -> None:
    assert dir(mi_tui) == sorted(mi_tui.__all__)
    for name in mi_tui.__all__:
        assert getattr(mi_tui, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        mi_tui.nothing  # noqa: B018
