"""Files that appear whole or not at all."""

from pathlib import Path

from mi_tui import whole_files
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

    Raises:
        ExportError: it cannot be written.
    """
    try:
        whole_files.write_whole(path, text, executable=executable)
    except (OSError, UnicodeEncodeError) as error:
        raise ExportError(f"cannot write {path}: {reason(error)}") from error


def reason(error: OSError | UnicodeEncodeError) -> str:
    """The reason of an error, as the end of a sentence."""
    if isinstance(error, UnicodeEncodeError):
        return "a text in it holds half a character, which no file can"
    return (error.strerror or str(error)).lower()
