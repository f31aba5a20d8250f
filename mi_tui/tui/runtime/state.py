"""The app's state between two sessions; losing it costs nothing."""

import json
from pathlib import Path

from mi_tui.errors import MiTuiError
from mi_tui.paths import state_folder
from mi_tui.whole_files import write_whole


def state_path() -> Path:
    """Where it is kept."""
    return state_folder() / "app.json"


def remembered(name: str) -> str | None:
    """A remembered value; ``None`` where there is none, or nothing can be read."""
    value = _read().get(name)
    return value if isinstance(value, str) else None


def remember(name: str, value: str) -> None:
    """Keep a value; a disk that cannot be written is no error."""
    content = {**_read(), name: value}
    try:
        path = state_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(content))
    except (OSError, MiTuiError):
        """The next session asks again."""


def _read() -> dict[str, object]:
    try:
        content = json.loads(state_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, MiTuiError):
        return {}
    return content if isinstance(content, dict) else {}
