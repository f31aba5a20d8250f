"""Completion of checkpoint names: bundled ones, the hub's cache, the file system."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from textual.suggester import Suggester

from mi_tui.paths import expanded, is_directory

_BUNDLED = ("bundled:instruct", "bundled:thinking", "bundled:base")
_BUNDLED_PARTNERS = {
    "bundled:instruct": "bundled:thinking",
    "bundled:thinking": "bundled:instruct",
}
_INSTRUCT, _THINKING = ("instruct", "it", "chat"), ("thinking", "reasoning")
_OTHERS = {**dict.fromkeys(_INSTRUCT, _THINKING), **dict.fromkeys(_THINKING, _INSTRUCT)}
"""For each word that names one side, the words that may name the other, the usual one first."""


_PROBLEM_FILES = (".jsonl", ".ndjson", ".csv", ".parquet")


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


class FileSuggester(Suggester):
    """Suggests the first directory or file of problems that begins with what was typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The path as it would go on, a directory with its slash, or ``None``."""
        folder, slash, begun = value.rpartition("/")
        if not value:
            return None
        try:
            inside = sorted(expanded(folder or ("/" if slash else ".")).iterdir())
        except OSError:
            return None
        fitting = (
            f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"
            for path in inside
            if path.name.startswith(begun)
            and (begun or not path.name.startswith("."))
            and (path.suffix.lower() in _PROBLEM_FILES or path.is_dir())
        )
        return next((name for name in fitting if name != value), None)


def partner(name: str) -> str | None:
    """The likely other side of an Instruct or a Thinking checkpoint, by the names of families.

    What is here wins: a directory beside this one, or a model in the hub's cache, whose name
    differs in that word alone (and maybe in what follows it).
    """
    if name.startswith("bundled:"):
        return _BUNDLED_PARTNERS.get(name)
    found = re.search(r"(?i)instruct|thinking|reasoning|(?<=[-_])it(?![a-z])|chat", name)
    if found is None:
        return None
    begin, end = name[: found.start()], name[found.end() :]
    others = _OTHERS[found[0].lower()]
    wanted = [f"{begin}{_like(other, found[0])}{end}" for other in others]
    return (
        next((one for one in wanted if _is_here(one)), None) or _beside(begin, others) or wanted[0]
    )


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
    return expanded(own) if own else expanded(home) / "hub"


def _paths(value: str) -> Iterator[str]:
    """Directories that begin with ``value``, written as it is."""
    folder, _, begun = value.rpartition("/")
    try:
        inside = sorted(p.name for p in expanded(folder or "/").iterdir() if p.is_dir())
    except OSError:
        return
    for name in inside:
        if name.startswith(begun) and (begun or not name.startswith(".")):
            yield f"{folder}/{name}"


def _is_here(name: str) -> bool:
    if name[0] in "/.~":
        return is_directory(expanded(name))
    return name.partition("@")[0] in cached_models()


def _beside(begin: str, words: tuple[str, ...]) -> str | None:
    """A checkpoint that is here and begins alike, another word following."""
    if not begin:
        return None
    there = _paths(begin) if begin[0] in "/.~" else cached_models()
    fitting = (n for n in there if n.startswith(begin))
    return next((n for n in fitting if n[len(begin) :].lower().startswith(words)), None)


def _like(word: str, model: str) -> str:
    """A word in the case of another."""
    return word.upper() if model.isupper() else word if model.islower() else word.capitalize()
