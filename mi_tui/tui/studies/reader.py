"""The reader of a study as the app sees it: a protocol, so that tests can give their own."""

from typing import TYPE_CHECKING, Any, Protocol

from mi_tui.analysis.results import Recommendation
from mi_tui.plan.budget import Budget
from mi_tui.plan.recipe import Recipe
from mi_tui.study.view import Breakdown, StudyView

if TYPE_CHECKING:
    from mi_tui.analysis.ablation.result import AblationResult
    from mi_tui.analysis.statistics.flips import Flips
    from mi_tui.analysis.statistics.length_histogram import LengthHistogram


class Reader(Protocol):
    """A study as read from its directory; all calls come from one thread."""

    def changed(self) -> bool:
        """Whether there is anything new since the last view; cheap."""

    def view(self) -> StudyView:
        """The study now."""

    def recommend(self, budget: Budget) -> Recommendation:
        """The answer to another budget, from the same data."""

    def responses(
        self, recipe_key: str | None = None, problem: int | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Stored rollouts with their texts, the newest first; ``problem`` is an index."""

    def breakdown(self, answer: Recommendation | None) -> Breakdown:
        """The results by probe and stratum, and the problems that flip."""

    def flips_between(self, first: Recipe, second: Recipe) -> "Flips":
        """The problems that one of two recipes solves and the other does not."""

    def length_histogram(self, bins: int) -> "LengthHistogram":
        """The lengths of every recipe's responses in so many bins."""

    def ablation_result(self) -> "AblationResult":
        """The paired table and the heat maps of an ablation."""

    def close(self) -> None:
        """Let the files go."""
