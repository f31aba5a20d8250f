"""The study directory: its place and its files."""

import os
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mi_tui.paths import data_folder, expanded, is_file
from mi_tui.study.storage.errors import StudyError


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The files of one study."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite database with everything that ever happened."""
        return self.path / "study.db"

    @property
    def preset(self) -> Path:
        """The preset the study was made from."""
        return self.path / "preset.toml"

    @property
    def lock(self) -> Path:
        """Held by the worker as long as it lives."""
        return self.path / "worker.lock"

    @property
    def log(self) -> Path:
        """What the worker and its libraries print."""
        return self.path / "worker.log"

    @property
    def note(self) -> Path:
        """What the user noted about it, one line."""
        return self.path / "note.txt"

    @property
    def exports(self) -> Path:
        """Where exports go unless told otherwise."""
        return self.path / "exports"

    @property
    def name(self) -> str:
        """The study's name: that of its directory."""
        return self.path.name

    @property
    def reference(self) -> str:
        """What a command finds it by: its name in the studies folder, elsewhere its path."""
        here = self.path.parent == studies_folder().absolute()
        return shlex.quote(self.name if here else str(self.path))


def studies_folder() -> Path:
    """Where studies are kept: ``$MI_TUI_STUDIES`` or the user's data directory."""
    chosen = os.environ.get("MI_TUI_STUDIES")
    if chosen:
        return expanded(chosen)
    return data_folder() / "studies"


def name_problem(name: str) -> str:
    """What is wrong with a study's name, or nothing."""
    wanted = "letters, digits, dots and hyphens, at most 80"
    return "" if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name) else wanted


def named_path(name: str) -> Path:
    """The path in the studies folder of a study of this name, whether or not it is there.

    Raises:
        StudyError: it is no name.
    """
    if problem := name_problem(name):
        raise StudyError(f"{name!r} is no name for a study: {problem}")
    return studies_folder() / name


def new_study_path(title: str) -> Path:
    """A path for a new study, named after its title and the time."""
    return free_path(f"{_slug(title, 40) or 'study'}-{time.strftime('%Y%m%d-%H%M%S')}")


def free_path(name: str) -> Path:
    """A path in the studies folder that is not there yet: of this name, or with a number."""
    root = studies_folder()
    path, number = root / name, 2
    while path.exists():
        path, number = root / f"{name}-{number}", number + 1
    return path


def proposed_name(title: str, probes: Sequence[str]) -> str:
    """A name for a study: its title, which names the pair unless told otherwise, and its probes."""
    words = [_slug(title, 40), *(_slug(probe, 20) for probe in probes[:2])]
    more = [f"and-{len(probes) - 2}-more"] if len(probes) > 2 else []
    return "-".join([*dict.fromkeys(filter(None, words)), *more]) or "study"


def _slug(text: str, most: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:most].strip("-")


def find_study(reference: str | Path) -> StudyFolder:
    """A study by its path, or by its name (or the beginning of it) in the studies folder.

    Raises:
        StudyError: there is none, or the beginning fits several.
    """
    if not str(reference):
        raise StudyError("the study's name is empty: mi-tui studies lists them")
    path = expanded(reference)
    if is_file(path / "study.db"):
        return StudyFolder(path.resolve())
    root = studies_folder()
    if os.sep not in str(reference) and root.is_dir():
        fitting = sorted(p.parent for p in root.glob(f"{_literal(str(reference))}*/study.db"))
        exact = [p for p in fitting if p.name == str(reference)]
        if len(exact or fitting) == 1:
            return StudyFolder((exact or fitting)[0])
        if fitting:
            names = ", ".join(p.name for p in fitting[:4])
            raise StudyError(f"{reference!s} fits several studies ({names}): write one in full")
    raise StudyError(f"no study {reference!s}: mi-tui studies lists them")


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)
