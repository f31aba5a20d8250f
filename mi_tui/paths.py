"""Paths as a user writes them, the user's own folders (XDG), and the files that ship with us."""

import os.path
from pathlib import Path
from typing import Literal

from mi_tui.errors import MiTuiError

_PACKAGE = Path(__file__).resolve().parent


def expanded(text: str | Path) -> Path:
    """A path with a leading ``~`` put in full; one of a user that nobody knows stays as it is."""
    # pathlib's own ends in a RuntimeError where the home is not known.
    return Path(os.path.expanduser(text))  # noqa: PTH111


def is_directory(path: Path) -> bool:
    """Whether a directory is there; what cannot be looked at, or no system can name, is not."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib's raises where access is denied


def is_file(path: Path) -> bool:
    """As :func:`is_directory`, for a file."""
    return os.path.isfile(path)  # noqa: PTH113


def config_folder() -> Path:
    """Where the user's settings, presets and themes lie.

    Raises:
        MiTuiError: nothing says where the user's home is.
    """
    return _folder("config")


def data_folder() -> Path:
    """Where studies lie unless told otherwise.

    Raises:
        MiTuiError: as :func:`config_folder`.
    """
    return _folder("data")


def state_folder() -> Path:
    """Where the app remembers small things.

    Raises:
        MiTuiError: as :func:`config_folder`.
    """
    return _folder("state")


def _folder(kind: Literal["config", "data", "state"]) -> Path:
    # Late: most commands need none of these folders, and every start would wait for the import.
    import platformdirs

    places = {
        "config": platformdirs.user_config_dir,
        "data": platformdirs.user_data_dir,
        "state": platformdirs.user_state_dir,
    }
    place = places[kind]
    try:
        found = Path(place("mi-tui", appauthor=False))
    except RuntimeError as error:
        raise MiTuiError("your home directory is not known: set HOME") from error
    if not found.is_absolute():
        raise MiTuiError(f"your home directory is not known ({found}): set HOME")
    return found


def _bundled(name: str) -> Path:
    """The folder ``name`` inside an installed wheel, or beside the package in a checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def presets_folder() -> Path:
    """The bundled presets: one TOML file each."""
    return _bundled("presets")


def themes_folder() -> Path:
    """The bundled themes: one TOML file each."""
    return _bundled("themes")


def demo_pair_folder() -> Path:
    """The bundled demo pair: ``base``, ``instruct`` and ``thinking``, one checkpoint each."""
    return _PACKAGE / "demo_pair"
