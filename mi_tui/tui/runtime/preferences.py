"""The user's preferences at the start of the app: settings, keys and themes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from textual.app import App

from mi_tui.errors import MiTuiError
from mi_tui.tui.runtime.config import AppConfig, config_path, read_config
from mi_tui.tui.runtime.themes import DEFAULT_THEME, load_themes


def read_preferences(
    places: Callable[[], Mapping[str, Mapping[str, str]]],
) -> tuple[AppConfig, list[str]]:
    """The settings, and what is wrong with their file.

    ``places`` gives the keys of each screen by their ids; asked only where the settings bind some
    anew.
    """
    try:
        config = read_config()
    except MiTuiError as error:
        return AppConfig(), [str(error)]
    if not config.keys:
        return config, []
    known = places()
    unknown = sorted(set(config.keys) - {id for keys in known.values() for id in keys})
    problems = [f"no key has the id {id}" for id in unknown]
    problems += [found for keys in known.values() for found in _collisions(keys, config.keys)]
    return config, [f"{config_path()}: {problem}" for problem in dict.fromkeys(problems)]


def _collisions(keys: Mapping[str, str], bound: Mapping[str, str]) -> Iterator[str]:
    """The keys of one screen that mean two things there, one of them bound anew."""
    of: dict[str, str] = {}
    for id, usual in keys.items():
        for key in (part.strip() for part in bound.get(id, usual).split(",")):
            other = of.setdefault(key, id)
            if other != id and (id in bound or other in bound):
                yield f"{key} is bound to {other} and to {id}: choose another key for one of them"


def take_themes(
    app: App[Any], remembered: str | None, asked: str | None
) -> tuple[frozenset[str], list[str]]:
    """Register the themes and take the one asked for, the one remembered, or the default.

    Returns:
        The names of our and the user's themes, and what had to be skipped.

    Raises:
        MiTuiError: there is no theme of the name asked for.
    """
    themes, skipped = load_themes()
    problems = [f"{problem.message}; skipped" for problem in skipped]
    for theme in themes:
        app.register_theme(theme)
    names = [theme.name for theme in themes]
    wanted = asked or remembered
    if wanted is not None and wanted not in app.available_themes:
        message = f"there is no theme {wanted!r}: choose one of {', '.join(names)}"
        if wanted == asked:
            raise MiTuiError(message)
        problems.append(message)
        wanted = None
    app.theme = wanted or (DEFAULT_THEME if DEFAULT_THEME in names else "textual-dark")
    return frozenset(names), problems
