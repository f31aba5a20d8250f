"""The one root of every error that a user can act on."""


class MiTuiError(Exception):
    """A failure that is reported as one line: what is wrong, where, and what to do.

    Attributes:
        exit_code: the exit status of a command that ends with this error.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class StoppedError(MiTuiError):
    """The user interrupted a command."""

    exit_code = 130
