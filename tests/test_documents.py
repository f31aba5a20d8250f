"""The README and the docs speak of what there is."""

import re
from pathlib import Path

import pytest
import typer.main

from mi_tui.cli.main import app
from mi_tui.plan.toml import parse_preset

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = sorted([REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]) + sorted(
    (REPOSITORY / "docs").glob("*.md")
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_command_is_in_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in commands if name not in readme] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_named_in_documents_exist(document: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in re.findall(r"^mi-tui ([a-z]+)", document.read_text(), re.MULTILINE):
        assert name in commands, f"{document.name} names mi-tui {name}"


def test_the_preset_in_the_readme_is_valid() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    parse_preset(toml, "README.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_named_in_documents_exist(document: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def test_every_option_says_what_it_is_for() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    silent = [
        f"{name} {parameter.opts[0]}"
        for name, command in commands.items()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert silent == []


def absent(text: str) -> list[str]:
    """The files, folders and modules named in ``text`` that do not exist.

    A file may be named from the repository, from ``mi_tui`` or by the end of its path.
    """
    tracked = [
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("mi_tui", "tests", "benchmarks", "scripts")
        for path in (REPOSITORY / folder).rglob("*")
    ]
    files = re.findall(r"`([\w./-]+\.(?:py|c))`", text)
    folders = re.findall(r"`((?:mi_tui|tests|benchmarks|scripts)/[\w/]*)/?`", text)
    modules = re.findall(r"`(?:python -m )?(mi_tui(?:\.\w+)+)", text)
    gone = [
        name
        for name in [*files, *(folder.rstrip("/") for folder in folders)]
        if not (REPOSITORY / name).exists()
        and not any(f"/{path}".endswith(f"/{name}") for path in tracked)
    ]
    return gone + [name for name in modules if not _is_there(name)]


def _is_there(name: str) -> bool:
    """Whether a dotted name is a module or package, or a name that a module of ours holds."""
    path = REPOSITORY / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    module = path.parent.with_suffix(".py")
    if not module.exists():
        module = path.parent / "__init__.py"
    return module.exists() and re.search(rf"\b{path.name}\b", module.read_text()) is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_modules_named_in_documents_exist(document: Path) -> None:
    assert absent(document.read_text()) == []


def test_a_name_that_leads_nowhere_is_found() -> None:
    wrong = ["mi_tui/plan/none.py", "none.py", "recipe/plan.py", "mi_tui/none", "mi_tui.plan.none"]
    assert absent(" ".join(f"`{name}`" for name in wrong)) == wrong
    right = ["mi_tui/plan/recipe.py", "plan/recipe.py", "recipe.py", "mi_tui/plan/"]
    assert absent(" ".join(f"`{name}`" for name in [*right, "mi_tui.plan.recipe.Recipe"])) == []
