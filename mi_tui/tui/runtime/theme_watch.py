"""A watch over the user's theme files: what is saved is shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual.app import App

from mi_tui.tui.runtime.themes import ThemeProblem, read_theme, user_themes_folder

EVERY = 1.0
"""Seconds between two looks at the files' times."""


class ThemeWatch:
    """Looks at the times of the files in the user's theme folder, and reads what has changed."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._seen = _stamps()
        self._names = _names(self._seen)

    @property
    def is_needed(self) -> bool:
        """Whether one of the user's themes is in use."""
        return self._app.theme in self._names.values()

    def look(self) -> tuple[ThemeProblem, ...]:
        """Register the themes whose files changed; what cannot be read is given back.

        The theme in use is applied anew. A theme whose file is gone stays until the app ends.
        """
        stamps = _stamps()
        changed = [path for path, stamp in stamps.items() if self._seen.get(path) != stamp]
        self._seen = stamps
        problems = []
        for path in changed:
            try:
                theme = read_theme(path)
            except ValueError as error:
                problems.append(ThemeProblem(path, str(error)))
                continue
            self._names[path] = theme.name
            self._app.register_theme(theme)
            if theme.name == self._app.theme:
                self._app.mutate_reactive(App.theme)
        return tuple(problems)


def _stamps() -> dict[Path, tuple[int, int]]:
    """The time and size of each file; a folder or file that cannot be read has none."""
    found = {}
    try:
        for path in user_themes_folder().glob("*.toml"):
            about = path.stat()
            found[path] = (about.st_mtime_ns, about.st_size)
    except OSError:
        pass
    return found


def _names(files: Mapping[Path, object]) -> dict[Path, str]:
    names = {}
    for path in files:
        try:
            names[path] = read_theme(path).name
        except ValueError:
            continue
    return names
