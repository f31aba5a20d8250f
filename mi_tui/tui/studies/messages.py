"""Messages from screens to the app."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from mi_tui.analysis.results import RecipeSummary
from mi_tui.plan.budget import Budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.remote_code import RemoteCode
from mi_tui.plan.until import Until
from mi_tui.study.storage.records import RequestKind
from mi_tui.tui.forms.draft import Draft


@dataclass
class NewStudy(Message):
    """Open the guide at its first step with this draft."""

    draft: Draft


class ShowPresets(Message):
    """Browse the presets."""


@dataclass
class NextStep(Message):
    """Go from a form to the step after it."""

    draft: Draft


@dataclass
class ShowExample(Message):
    """Show one example of each of the preset's probes."""

    preset: Preset


@dataclass
class StartStudy(Message):
    """Create a study from a valid preset, start its worker and watch it."""

    preset: Preset
    name: str = ""


@dataclass
class SavePreset(Message):
    """Keep a preset in the user's folder."""

    preset: Preset
    name: str


@dataclass
class OpenStudy(Message):
    """Watch a study; ``go_on`` starts its worker first when it was interrupted."""

    path: Path
    go_on: bool = False


class ShowRecommendation(Message):
    """Open the recommendation of the study being watched."""


@dataclass
class Ablate(Message):
    """Open the guide with an ablation of the watched study at a λ and for a budget."""

    kind: str
    lambda_: float
    budget: Budget


@dataclass
class Continue(Message):
    """Let the watched study, which has ended, go on; ``budget`` takes its budget's place."""

    until: Until
    budget: Budget | None = None


class LeaveStudy(Message):
    """Go back to the home screen; the study goes on."""


@dataclass
class StudyRequest(Message):
    """Leave a request for the worker of the study being watched."""

    kind: RequestKind
    data: dict[str, object]


@dataclass
class AskConsent(Message):
    """Ask whether code of others may run; ``answered`` is told."""

    codes: tuple[RemoteCode, ...]
    answered: Callable[[bool], None]


@dataclass
class ShowResponses(Message):
    """Open the responses of one recipe of the study being watched."""

    row: RecipeSummary


class ShowBreakdown(Message):
    """Open the results of the watched study by probe and stratum, and the problems that flip."""


class ShowLengths(Message):
    """Show the distribution of lengths of the study being watched."""


@dataclass
class ShowCase(Message):
    """Open one problem, by its index, under every λ."""

    problem: int
