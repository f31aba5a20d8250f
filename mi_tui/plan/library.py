"""The presets that can be named: the bundled ones and those in the user's folder."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mi_tui.paths import config_folder, expanded, is_file, presets_folder
from mi_tui.plan.preset import Preset
from mi_tui.plan.toml import PresetError, read_preset


@dataclass(frozen=True, slots=True)
class PresetEntry:
    """One named preset; ``problem`` says in one line why it cannot be used."""

    name: str
    path: Path
    bundled: bool
    preset: Preset | None
    problem: str = ""

    @property
    def group(self) -> str:
        """The heading to list it under; empty for none."""
        return self.preset.group if self.preset else ""


def user_presets_folder() -> Path:
    """Where the user's own presets lie (XDG config directory)."""
    return config_folder() / "presets"


def list_presets() -> tuple[PresetEntry, ...]:
    """All named presets; a user's preset hides a bundled one of its name.

    Bundled ones come first, those without a group before the groups; names are in the order a
    person counts (4b before 30b).
    """
    found: dict[str, PresetEntry] = {}
    for folder, bundled in ((presets_folder(), True), (user_presets_folder(), False)):
        for path in sorted(folder.glob("*.toml")):
            found[path.stem] = _entry(path, bundled)
    return tuple(sorted(found.values(), key=_place))


def find_preset(reference: str) -> tuple[str, Preset]:
    """A preset by its path or its name; returns its name and the preset.

    Raises:
        PresetError: there is none of that name, or it is not valid.
    """
    entry = find_preset_entry(reference)
    assert entry.preset is not None
    return entry.name, entry.preset


def find_preset_entry(reference: str) -> PresetEntry:
    """As :func:`find_preset`, with where the preset lies.

    Raises:
        PresetError: as :func:`find_preset`.
    """
    path = expanded(reference)
    if path.suffix == ".toml" or is_file(path):
        return PresetEntry(path.stem, path, False, read_preset(path))
    for folder in (user_presets_folder(), presets_folder()):
        named = folder / f"{reference}.toml"
        if is_file(named):
            bundled = folder == presets_folder()
            return PresetEntry(reference, named, bundled, read_preset(named))
    near = get_close_matches(reference, [entry.name for entry in list_presets()])
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    raise PresetError(
        f"no preset {reference!r}: {meant}give a .toml file or a name that mi-tui presets lists"
    )


def _place(entry: PresetEntry) -> tuple[bool, bool, list[tuple[str, int]], list[tuple[str, int]]]:
    return not entry.bundled, bool(entry.group), _natural(entry.group), _natural(entry.name)


def _natural(text: str) -> list[tuple[str, int]]:
    """The text as words and numbers, to be compared as such."""
    return [(word, int(part or 0)) for word, part in re.findall(r"(\D*)(\d*)", text)]


def _entry(path: Path, bundled: bool) -> PresetEntry:
    try:
        return PresetEntry(path.stem, path, bundled, read_preset(path))
    except Exception as error:  # whatever a file holds, the other presets are listed
        reason = str(error) if isinstance(error, PresetError) else f"{path}: {error}"
        return PresetEntry(path.stem, path, bundled, None, " ".join(reason.split()))
