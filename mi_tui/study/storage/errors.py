"""Errors of studies."""

from mi_tui.errors import MiTuiError


class StudyError(MiTuiError):
    """A study that cannot be made, opened or gone on with."""


class StudyBusyError(StudyError):
    """Another worker is at this study already."""

    exit_code = 4
