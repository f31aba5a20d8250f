"""What the app remembers from one session to the next; losing it costs nothing."""

import json
from pathlib import Path

from platformdirs import user_state_path


def state_path() -> Path:
    """Where it is kept."""
    return user_state_path("mi-tui", appauthor=False) / "app.json"


def remembered(name: str) -> str | None:
    """A remembered value; ``None`` where there is none, or nothing can be read."""
    value = _read().get(name)
    return value if isinstance(value, str) else None


def remember(name: str, value: str) -> None:
    """Keep a value; a disk that cannot be written is no error."""
    path = state_path()
    content = {**_read(), name: value}
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def _read() -> dict[str, object]:
    try:
        content = json.loads(state_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
