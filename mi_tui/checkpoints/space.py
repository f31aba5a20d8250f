"""How much room there is on disk."""

import shutil
from pathlib import Path


def free_bytes(path: Path) -> int:
    """The bytes a user may still write where ``path`` lies or would be created."""
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
