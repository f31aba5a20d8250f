"""The garbage collector is kept from what is imported, and from nothing else."""

import ast
import gc
import re
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

import mi_tui
from mi_tui.startup import imports_uncollected, uncollected


@pytest.fixture(autouse=True)
def _collector_as_before() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if was_on else gc.disable)()


def test_what_is_made_inside_is_never_looked_at_again() -> None:
    gc.enable()
    with imports_uncollected():
        assert not gc.isenabled()
        inside: list[list[object]] = [[]]
    outside: list[list[object]] = [[]]
    seen = {id(thing) for thing in gc.get_objects()}
    assert id(inside) not in seen
    assert id(outside) in seen
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with imports_uncollected():
        pass
    assert not gc.isenabled()


def test_a_failing_import_leaves_the_collector_on() -> None:
    gc.enable()
    with pytest.raises(ImportError), imports_uncollected():
        raise ImportError
    assert gc.isenabled()


def test_what_was_garbage_before_is_collected_and_not_kept() -> None:
    class Node:
        other: "Node"

    gc.enable()
    gone: list[bool] = []
    first, second = Node(), Node()
    first.other, second.other = second, first
    weakref.finalize(first, gone.append, True)
    del first, second
    with imports_uncollected():
        assert gone


@pytest.mark.parametrize("on", [True, False])
def test_work_without_the_collector_leaves_it_as_it_was(on: bool) -> None:
    (gc.enable if on else gc.disable)()
    frozen = gc.get_freeze_count()
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled() == on
    assert gc.get_freeze_count() == frozen


def test_nothing_else_touches_the_collector() -> None:
    package = Path(mi_tui.__file__).parent
    users = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"^\s*(import gc\b|from gc import)", file.read_text(), re.MULTILINE)
    }
    assert users == {"startup.py"}


@pytest.mark.slow
def test_an_import_inside_a_function_spares_something() -> None:
    """Nothing is imported there that importing the module has loaded before."""
    package = Path(mi_tui.__file__).parent
    code = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    vain = []
    for file in sorted(package.rglob("*.py")):
        inside = _imported_in_functions(ast.parse(file.read_text()))
        name = ".".join(("mi_tui", *file.relative_to(package).with_suffix("").parts))
        if not inside or name.startswith("mi_tui.engines.vllm") or name == "mi_tui.__main__":
            continue
        done = subprocess.run(
            [sys.executable, "-c", code, name], capture_output=True, text=True, check=True
        )
        vain += [f"{name}: {each}" for each in sorted(inside & set(done.stdout.split()))]
    assert vain == []


def _imported_in_functions(module: ast.Module) -> set[str]:
    found: set[str] = set()
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                # Of a package of ours it is one of its modules that is imported.
                ours = Path(mi_tui.__file__).parents[1] / node.module.replace(".", "/")
                found |= (
                    {f"{node.module}.{alias.name}" for alias in node.names}
                    if ours.is_dir()
                    else {node.module}
                )
    return found
