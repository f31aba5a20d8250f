"""The watched study: its newest view, read on a thread of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mi_tui.analysis.results import Recommendation
from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Recipe
from mi_tui.study.view import Breakdown, StudyView
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.studies.reader import Reader
from mi_tui.tui.studies.responses import ProblemText, Response, read_response
from mi_tui.tui.studies.services import Services

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult
    from mi_tui.analysis.statistics.flips import Flips
    from mi_tui.analysis.statistics.length_histogram import LengthHistogram


@runtime_checkable
class ShowsStudy(Protocol):
    """A screen that wants to know when the watched study has changed."""

    def show_view(self, view: StudyView) -> None:
        """Show a new picture of the study."""


class WatchedStudy:
    """Keeps the newest view of one study.

    Attributes:
        path: the study's directory.
        view: what was read last, ``None`` before the first reading.
    """

    def __init__(self, services: Services, path: Path) -> None:
        self.path = path
        self.view: StudyView | None = None
        self._services = services
        self._thread = Background("study reader")
        self._reader: Reader | None = None
        self._reading = False
        self._problems: tuple[ProblemText, ...] = ()

    async def refresh(self) -> bool:
        """Read the study if there is anything new; whether there was.

        Raises:
            MiTuiError: the study cannot be read.
        """
        if self._reading:
            return False
        self._reading = True
        try:
            view = await self._thread.run(self._read)
        finally:
            self._reading = False
        if view is None or (self.view is not None and view == self.view):
            return False
        self.view = view
        return True

    async def recommend(self, budget: Budget) -> Recommendation:
        """The answer to a budget from the data there are.

        Raises:
            MiTuiError: there are too few data yet.
        """
        return await self._thread.run(lambda: self._opened().recommend(budget))

    async def breakdown(self) -> Breakdown:
        """The results by probe and stratum, and the flips of the recommended λ.

        Raises:
            MiTuiError: the study cannot be read.
        """
        answer = self.view.recommendation if self.view else None
        return await self._thread.run(lambda: self._opened().breakdown(answer))

    async def flips_between(self, first: Recipe, second: Recipe) -> "Flips":
        """The problems that one of two recipes solves and the other does not.

        Raises:
            MiTuiError: one of them was not measured.
        """
        return await self._thread.run(lambda: self._opened().flips_between(first, second))

    async def length_histogram(self, bins: int) -> "LengthHistogram":
        """The lengths of every recipe's responses in so many bins.

        Raises:
            MiTuiError: the study cannot be read.
        """
        return await self._thread.run(lambda: self._opened().length_histogram(bins))

    async def ablation_result(self) -> "AblationResult":
        """The paired table and the heat maps of an ablation.

        Raises:
            MiTuiError: there are no rollouts yet, or the study cannot be read.
        """
        return await self._thread.run(lambda: self._opened().ablation_result())

    async def responses(
        self, recipe_key: str | None = None, problem: int | None = None, limit: int = 50
    ) -> list[Response]:
        """The newest responses of a recipe or to a problem, ready to show.

        Raises:
            MiTuiError: the study cannot be read.
        """

        def read() -> list[Response]:
            if not self._problems:
                self._problems = self._services.problems(self.path)
            rows = self._opened().responses(recipe_key, problem, limit)
            return [read_response(row) for row in rows]

        return await self._thread.run(read)

    @property
    def problem_count(self) -> int:
        """How many problems the study has, once responses were read."""
        return len(self._problems)

    def problem(self, index: int) -> ProblemText:
        """A problem by its index; a name alone where its text was not read."""
        if index < len(self._problems):
            return self._problems[index]
        return ProblemText(f"problem {index + 1}", "", "")

    def close(self) -> None:
        """Stop reading."""
        self._thread.run_and_forget(self._close)
        self._thread.close()

    def _opened(self) -> Reader:
        if self._reader is None:
            self._reader = self._services.reader(self.path)
        return self._reader

    def _read(self) -> StudyView | None:
        first = self._reader is None
        reader = self._opened()
        return reader.view() if first or reader.changed() else None

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
