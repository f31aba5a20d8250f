"""Findings about checkpoints, as lines with a sign."""

from collections.abc import Iterable

from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.cli.console import out
from mi_tui.present import signs


def print_findings(findings: Iterable[Finding]) -> None:
    """Print one line for each finding on standard output."""
    for finding in findings:
        sign = signs.FINDINGS[finding.level]
        out().print(f"{sign} {finding.subject}: {finding.message}", markup=False)
