"""The export formats: their base classes, their registry, and what they are given to write."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mi_tui.export.errors import ExportError
from mi_tui.registry import Registry

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult
    from mi_tui.analysis.results import Recommendation
    from mi_tui.analysis.statistics.flips import Flips
    from mi_tui.analysis.statistics.groups import GroupResults
    from mi_tui.study.view import Breakdown, StudyView

ALL = "all"
CONFIGS = "configs"
"""What stands for all formats, and for those that are written at once."""

Progress = Callable[[int, int], None]
"""Told how much is done of how much in all, in any unit."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is exported, and where to.

    ``examples`` holds each probe's first prompt as the model sees it, by the probe's name;
    ``ablation`` the comparison of the rows where the study is an ablation; ``breakdown`` the
    results by probe and stratum, and the problems that flip.
    """

    view: "StudyView"
    answer: "Recommendation"
    examples: Mapping[str, str]
    out: Path
    ablation: "AblationResult | None" = None
    breakdown: "Breakdown | None" = None

    @property
    def title(self) -> str:
        """What the merged model is called: the study's title and the recipe's label."""
        return f"{self.view.preset.title} · {self.answer.recipe.label}"

    @property
    def groups(self) -> "tuple[GroupResults, ...]":
        """The results of each probe and stratum."""
        return self.breakdown.groups if self.breakdown else ()

    @property
    def flips(self) -> "Flips | None":
        """The problems that flip."""
        return self.breakdown.flips if self.breakdown else None

    def path_of(self, name: str) -> Path:
        """Where the format of this name is written.

        Raises:
            UnknownNameError: there is no such format.
        """
        return self.out / FORMATS[name].file_name


@dataclass(frozen=True, slots=True)
class Clipboard:
    """How a format's text is copied: its name and a few words, and the file it is also put in."""

    name: str
    about: str
    file_name: str


class ExportFormat(ABC):
    """One format, declared by the attributes of its class.

    ``name`` is what ``--format`` takes, ``title`` the name on screen, ``about`` a line for help,
    ``file_name`` the file or directory written. ``order`` is the place in lists. ``quick``
    formats are written at once, and exported unless told otherwise. ``of_weights`` formats are or
    describe a merge of the pair, which must then be what was measured. ``clipboard`` says how the
    format is copied, if it is.

    A module that declares one is imported whenever formats are listed: what is heavy is imported
    in :meth:`write`.
    """

    name: str
    title: str
    about: str
    file_name: str
    order: int = 100
    quick: bool = True
    of_weights: bool = False
    clipboard: Clipboard | None = None

    def __init__(self) -> None:
        """Check the declaration.

        Raises:
            TypeError: an attribute is missing, or ``file_name`` names no file of one directory.
        """
        for attribute in ("name", "title", "about", "file_name"):
            if not getattr(self, attribute, ""):
                raise TypeError(f"the export format {type(self).__name__} has no {attribute}")
        if Path(self.file_name).name != self.file_name or self.name in (ALL, CONFIGS):
            raise TypeError(f"the export format {self.name} cannot be written to {self.file_name}")

    @abstractmethod
    def write(
        self, subject: Subject, path: Path, progress: Progress, cancelled: Callable[[], bool]
    ) -> None:
        """Write the subject to ``path``, whole or not at all.

        Args:
            subject: what is exported.
            path: the file or directory; replaced where it is an earlier export.
            progress: told how far it is.
            cancelled: asked now and then; true ends the writing, without a trace.

        Raises:
            MiTuiError: it cannot be written, or was cancelled.
        """

    def copied_text(self, subject: Subject) -> str:
        """The text for the clipboard, where ``clipboard`` is set."""
        raise NotImplementedError(f"the export format {self.name} cannot be copied")


class TextFormat(ExportFormat):
    """A format that is one text file; ``executable`` ones may be run."""

    executable: bool = False

    @abstractmethod
    def text(self, subject: Subject) -> str:
        """The file's text; what others wrote is escaped for the language it stands in."""

    def write(
        self, subject: Subject, path: Path, progress: Progress, cancelled: Callable[[], bool]
    ) -> None:
        """Write the text; it is too short to be cancelled."""
        del cancelled
        from mi_tui.export.files import write_whole

        write_whole(path, self.text(subject), executable=self.executable)
        progress(1, 1)

    def copied_text(self, subject: Subject) -> str:
        """The file's text, unless the format says otherwise."""
        return self.text(subject)


FORMATS: Registry[ExportFormat] = Registry("mi_tui.export.formats", "export format")


def chosen(names: Sequence[str]) -> tuple[ExportFormat, ...]:
    """The formats of these names, each once; ``all`` and ``configs`` stand for several.

    Raises:
        ExportError: a name is unknown; the message lists those there are.
    """
    found: dict[str, ExportFormat] = {}
    for name in names:
        if name in (ALL, CONFIGS):
            found |= {each.name: each for each in FORMATS if each.quick or name == ALL}
        elif name in FORMATS:
            found[name] = FORMATS[name]
        else:
            known = ", ".join((*FORMATS.names(), CONFIGS, ALL))
            raise ExportError(f"unknown export format {name!r}: use one of {known}")
    return tuple(found.values())
