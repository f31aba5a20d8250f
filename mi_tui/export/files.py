"""Files that appear whole or not at all."""

import os
from pathlib import Path

from mi_tui.export.errors import ExportError


def make_folder(out: Path) -> None:
    """Make the directory of an export.

    Raises:
        ExportError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"cannot write to {out}: {reason(error)}") from error


def write_whole(path: Path, text: str, *, executable: bool = False) -> None:
    """Write a text file; a reader sees the old one or the new one.

    The part written beside it is made anew, so that no link planted there is followed.

    Raises:
        ExportError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        with part.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if executable:
            part.chmod(0o755)
        part.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        part.unlink(missing_ok=True)
        raise ExportError(f"cannot write {path}: {reason(error)}") from error


def reason(error: OSError | UnicodeEncodeError) -> str:
    """The reason of an error, as the end of a sentence."""
    if isinstance(error, UnicodeEncodeError):
        return "a text in it holds half a character, which no file can"
    return (error.strerror or str(error)).lower()
