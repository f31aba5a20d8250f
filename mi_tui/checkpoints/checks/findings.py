"""Findings of a check: what was looked at, and whether it fits."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: a level, what it is about, and one line on it."""

    level: Level
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class PairReport:
    """Everything the preflight found; ``fits`` when nothing is an error."""

    findings: tuple[Finding, ...]

    @property
    def fits(self) -> bool:
        """Whether the checkpoints can be mixed."""
        return all(finding.level != "error" for finding in self.findings)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid mixing."""
        return tuple(finding for finding in self.findings if finding.level == "error")
