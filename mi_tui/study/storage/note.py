"""The note of a study: one line of the user's, kept beside the database."""

from pathlib import Path

from mi_tui.paths import is_file
from mi_tui.probes.text import shown_line
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.folder import StudyFolder, find_study
from mi_tui.whole_files import write_whole

LONGEST_NOTE = 200
"""Characters of a note."""


def read_note(folder: StudyFolder) -> str:
    """What the user noted about a study, harmless to show; empty without a note."""
    if not is_file(folder.note):  # a pipe, say, in a study of others
        return ""
    try:
        with folder.note.open("rb") as file:
            return shown_line(file.read(4 * LONGEST_NOTE).decode("utf-8", "replace"), LONGEST_NOTE)
    except OSError:
        return ""


def write_note(reference: Path | str, text: str) -> None:
    """Note something about a study, one line; an empty text takes the note away.

    Raises:
        StudyError: there is no such study, the text is too long, or it cannot be written.
    """
    folder, line = find_study(reference), " ".join(text.split())
    if problem := note_problem(line):
        raise StudyError(f"the note of {folder.name} is not kept: {problem}")
    try:
        if line:
            write_whole(folder.note, line + "\n")
        else:
            folder.note.unlink(missing_ok=True)
    except (OSError, UnicodeEncodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise StudyError(f"cannot write {folder.note}: {reason}") from error


def note_problem(text: str) -> str:
    """What is wrong with a note, or nothing."""
    return f"write at most {LONGEST_NOTE} characters" if len(text) > LONGEST_NOTE else ""
