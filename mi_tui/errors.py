"""The one root of every error that a user can act on."""

from mi_tui.text.plain_text import without_controls


class MiTuiError(Exception):
    """A failure that is reported as one line: what is wrong, where, and what to do.

    What files and servers say may stand in it: it is without what a terminal obeys.

    Attributes:
        exit_code: the exit status of a command that ends with this error.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(without_controls(" ".join(message.split())))


class StoppedError(MiTuiError):
    """The user interrupted a command."""

    exit_code = 130
