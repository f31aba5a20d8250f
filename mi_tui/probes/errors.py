"""Errors of probes and scorers."""

from mi_tui.errors import MiTuiError


class ProbeError(MiTuiError):
    """A probe whose problems cannot be drawn or read."""


class ScorerError(MiTuiError):
    """A scorer that does not exist or cannot be loaded."""


def missing_extra(what: str) -> str:
    """The one line for something that needs the benchmark libraries."""
    return f"{what} needs more libraries: pip install 'mi-tui[benchmarks]'"
