"""Presets by name or file."""

from pathlib import Path

from mi_tui.plan.library import find_preset
from mi_tui.plan.preset import Preset


def load_preset(reference: Path | str) -> Preset:
    """A preset by its name (``mi-tui presets`` lists them) or its TOML file.

    Raises:
        PresetError: there is none of that name, or it is not valid.
    """
    return find_preset(str(reference))[1]


def as_preset(preset: Preset | Path | str) -> Preset:
    """The preset itself, or the one of a name or file.

    Raises:
        PresetError: as :func:`load_preset`.
    """
    return preset if isinstance(preset, Preset) else load_preset(preset)
