"""Errors of studies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mi_tui.errors import MiTuiError
from mi_tui.probes.text import shown_line


class StudyError(MiTuiError):
    """A study that cannot be made, opened or gone on with."""


class StudyBusyError(StudyError):
    """Another worker is at this study already."""

    exit_code = 4


@contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Turn what goes wrong while foreign values are read into one line.

    Args:
        path: of the study's file.
        what: the values, as a noun.

    Raises:
        StudyError: the block raised what wrong values raise.
    """
    try:
        yield
    except MiTuiError:
        raise
    except (
        ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
        MemoryError,
    ) as error:  # fmt: skip
        reason = shown_line(str(error) or type(error).__name__, 120)
        raise StudyError(
            f"{path} holds {what} that this mi-tui cannot read ({reason}): upgrade mi-tui, or "
            "restore the file from a copy"
        ) from error
