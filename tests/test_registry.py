"""The registry of extensions: built-in modules, installed entry points, unknown names."""

import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from mi_tui.registry import Registry, UnknownNameError


@dataclass(frozen=True)
class Toy:
    name: str
    order: int = 100


def package(folder: Path, name: str, **modules: str) -> None:
    """A package on disk whose modules register entries."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(
        "from mi_tui.registry import Registry\n"
        "from tests.test_registry import Toy\n"
        f"TOYS = Registry({name + '.kinds'!r}, 'toy')\n"
    )
    (folder / name / "kinds").mkdir()
    (folder / name / "kinds" / "__init__.py").touch()
    for module, text in modules.items():
        (folder / name / "kinds" / f"{module}.py").write_text(
            f"from tests.test_registry import Toy\nfrom {name} import TOYS\n{text}\n"
        )


def test_one_module_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(
        tmp_path,
        "toys_one",
        ball="TOYS.register(Toy('ball'))",
        kite="TOYS.register(Toy('kite', order=1))",
    )
    monkeypatch.syspath_prepend(tmp_path)
    toys = __import__("toys_one").TOYS
    assert "toys_one.kinds.ball" not in sys.modules
    assert toys.names() == ("kite", "ball")
    assert toys["ball"].order == 100


STARTED, GO = threading.Event(), threading.Event()


def test_a_second_thread_waits_until_all_entries_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(
        tmp_path,
        "toys_slow",
        a_slow="from tests.test_registry import GO, STARTED\nSTARTED.set()\nassert GO.wait(30)",
        ball="TOYS.register(Toy('ball'))",
    )
    monkeypatch.syspath_prepend(tmp_path)
    toys = __import__("toys_slow").TOYS
    found: list[str] = []
    first = threading.Thread(target=toys.names)
    second = threading.Thread(target=lambda: found.append(toys["ball"].name))
    first.start()
    assert STARTED.wait(30)
    second.start()
    second.join(0.1)  # long enough for a thread that does not wait to fail
    GO.set()
    first.join()
    second.join()
    assert found == ["ball"]


def test_an_installed_distribution_adds_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, "toys_two", ball="TOYS.register(Toy('ball'))")
    (tmp_path / "toys_more.py").write_text(
        "from tests.test_registry import Toy\n"
        "from toys_two import TOYS\n"
        "TOYS.register(Toy('yo-yo'))\n"
    )
    info = tmp_path / "toys_more-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys-more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toys_two.kinds]\nyo-yo = toys_more\n")
    monkeypatch.syspath_prepend(tmp_path)
    toys = __import__("toys_two").TOYS
    assert toys["ball"].name == "ball"
    assert "toys_more" not in sys.modules
    assert toys["yo-yo"].name == "yo-yo"
    assert toys.names() == ("ball", "yo-yo")


def test_an_unknown_name_lists_the_known_ones() -> None:
    toys: Registry[Toy] = Registry("mi_tui.plan", "toy")
    toys.register(Toy("ball"))
    with pytest.raises(UnknownNameError, match="unknown toy 'bal': use one of ball"):
        toys["bal"]


def test_two_entries_cannot_share_a_name() -> None:
    toys: Registry[Toy] = Registry("mi_tui.plan", "toy")
    toys.register(Toy("ball"))
    with pytest.raises(ValueError, match="two toys are called ball"):
        toys.register(Toy("ball", order=2))
