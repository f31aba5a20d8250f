"""The errors of exports."""

from mi_tui.errors import MiTuiError


class ExportError(MiTuiError):
    """An export that cannot be written."""


class ExportConflictError(ExportError):
    """A directory that holds something else; ``held`` says in words what."""

    def __init__(self, message: str, held: str) -> None:
        super().__init__(message)
        self.held = held


class NothingRecommendedError(ExportError):
    """An export of a recommendation where the probe was too hard to recommend anything."""
