"""Findings about checkpoints, as lines with a sign."""

from collections.abc import Iterable

from mi_tui.checkpoints.compare import Finding
from mi_tui.cli.console import out

SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}


def print_findings(findings: Iterable[Finding]) -> None:
    """Print one line for each finding on standard output."""
    for finding in findings:
        out().print(f"{SIGNS[finding.level]} {finding.subject}: {finding.message}", markup=False)
