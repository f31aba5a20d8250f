"""The view of a study: one frozen picture for the app, ``watch`` and ``run``."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.plan.preset import Preset

if TYPE_CHECKING:
    from mi_tui.analysis.statistics.flips import Flips
    from mi_tui.analysis.statistics.groups import GroupResults


class StudyState(StrEnum):
    """Where a study stands.

    ``INTERRUPTED`` is a study whose worker is gone without having finished: starting it again
    goes on. ``FAILED`` carries a message that says what to do.
    """

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """Whether a worker process is at it."""
        return self in (StudyState.STARTING, StudyState.RUNNING, StudyState.PAUSED)

    @property
    def has_ended(self) -> bool:
        """Whether its worker has ended, or is about to."""
        return self in (StudyState.DONE, StudyState.STOPPED, StudyState.FAILED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the worker is. ``phase`` says in a few words what it is doing now."""

    phase: str
    rollouts: int
    planned: int
    tokens: int
    tokens_per_second: float
    elapsed_seconds: float
    eta_seconds: float | None
    running: int
    device_memory: str = ""


@dataclass(frozen=True, slots=True)
class StudyView:
    """Everything on the Probe and Recommend screens.

    ``change`` grows with every change of the store: equal numbers, equal pictures.
    """

    path: Path
    name: str
    preset: Preset
    state: StudyState
    message: str
    progress: Progress
    rows: tuple[RecipeSummary, ...]
    recommendation: Recommendation | None
    engine_note: str
    change: int

    @property
    def measured(self) -> tuple[RecipeSummary, ...]:
        """The rows whose estimates and intervals hold."""
        return tuple(row for row in self.rows if not row.preliminary)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The results taken apart: by probe and stratum, and problem by problem.

    ``flips`` is ``None`` where nothing is recommended, or the two ends were not measured.
    """

    groups: "tuple[GroupResults, ...]" = ()
    flips: "Flips | None" = None


@dataclass(frozen=True, slots=True)
class StudyPreview:
    """What a study asks and what has come of it, without its rollouts."""

    preset: Preset
    answer: Recommendation | None


@dataclass(frozen=True, slots=True)
class StudyEntry:
    """One line of the list of studies; words of ``note`` that begin with ``#`` are its tags."""

    path: Path
    name: str
    title: str
    state: StudyState
    rollouts: int
    planned: int
    modified: float
    best: str
    note: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, without their ``#``, each once."""
        words = (word.removeprefix("#") for word in self.note.split() if word.startswith("#"))
        return tuple(dict.fromkeys(word for word in words if word))
