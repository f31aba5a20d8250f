"""The places of the files that ship with the package: presets, themes and the demo pair."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


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
