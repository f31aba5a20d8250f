"""Errors of checkpoints."""

from mi_tui.errors import MiTuiError


class CheckpointError(MiTuiError):
    """A checkpoint that cannot be found, read, mixed or written."""


class HeaderError(CheckpointError):
    """A safetensors file whose header is damaged or hostile."""
