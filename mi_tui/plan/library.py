"""The presets that can be named: the bundled ones and those in the user's folder."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mi_tui.plan.preset import Preset
from mi_tui.plan.toml import PresetError, read_preset
from mi_tui.resources import presets_folder


@dataclass(frozen=True, slots=True)
class PresetEntry:
    """One named preset; ``problem`` says in one line why it cannot be used."""

    name: str
    path: Path
    bundled: bool
    preset: Preset | None
    problem: str = ""


def user_presets_folder() -> Path:
    """Where the user's own presets lie (XDG config directory)."""
    return Path(platformdirs.user_config_dir("mi-tui", appauthor=False)) / "presets"


def list_presets() -> tuple[PresetEntry, ...]:
    """All named presets, bundled ones first; a user's preset hides a bundled one of its name."""
    found: dict[str, PresetEntry] = {}
    for folder, bundled in ((presets_folder(), True), (user_presets_folder(), False)):
        for path in sorted(folder.glob("*.toml")):
            found[path.stem] = _entry(path, bundled)
    return tuple(found.values())


def find_preset(reference: str) -> tuple[str, Preset]:
    """A preset by its path or its name; returns its name and the preset.

    Raises:
        PresetError: there is none of that name, or it is not valid.
    """
    path = Path(reference).expanduser()
    if path.suffix == ".toml" or path.is_file():
        return path.stem, read_preset(path)
    for folder in (user_presets_folder(), presets_folder()):
        named = folder / f"{reference}.toml"
        if named.is_file():
            return reference, read_preset(named)
    names = ", ".join(entry.name for entry in list_presets())
    raise PresetError(f"no preset {reference!r}: give a .toml file or one of {names}")


def _entry(path: Path, bundled: bool) -> PresetEntry:
    try:
        return PresetEntry(path.stem, path, bundled, read_preset(path))
    except PresetError as error:
        return PresetEntry(path.stem, path, bundled, None, str(error))
