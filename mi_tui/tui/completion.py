"""Completes the name of a checkpoint: bundled ones, the hub's local cache, the file system."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from textual.suggester import Suggester

_BUNDLED = ("bundled:instruct", "bundled:thinking", "bundled:base")


class CheckpointSuggester(Suggester):
    """Suggests the first checkpoint that begins with what was typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The whole name, or ``None``; never a name of fewer than one typed character."""
        if not value:
            return None
        names = _paths(value) if value[0] in "/.~" else (*_BUNDLED, *cached_models())
        return next((name for name in names if name.startswith(value) and name != value), None)


def partner(instruct: str) -> str | None:
    """The likely Thinking side of an Instruct checkpoint, by the name of its family."""
    if instruct == "bundled:instruct":
        return "bundled:thinking"
    other = re.sub(r"(?i)instruct", lambda found: _like(found[0]), instruct)
    return other if other != instruct else None


def cached_models() -> list[str]:
    """The models in the hub's local cache, by name; nothing is downloaded or imported."""
    try:
        folders = sorted(_hub_cache().glob("models--*--*"))
    except OSError:
        return []
    return [folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]


def _hub_cache() -> Path:
    own = os.environ.get("HF_HUB_CACHE")
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return Path(own).expanduser() if own else Path(home).expanduser() / "hub"


def _paths(value: str) -> Iterator[str]:
    """Directories that begin with ``value``, written as it is."""
    folder, _, begun = value.rpartition("/")
    try:
        inside = sorted(p.name for p in Path(folder or "/").expanduser().iterdir() if p.is_dir())
    except OSError:
        return
    for name in inside:
        if name.startswith(begun) and (begun or not name.startswith(".")):
            yield f"{folder}/{name}"


def _like(word: str) -> str:
    return "THINKING" if word.isupper() else "thinking" if word.islower() else "Thinking"
