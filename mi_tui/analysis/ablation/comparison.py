"""The comparison of an ablation: each recipe against the reference, paired over problems."""

from collections import Counter

from mi_tui.analysis.observations import Observations
from mi_tui.analysis.results import Estimate, PairedDifference, RecipeSummary
from mi_tui.analysis.statistics.metrics import MetricError, paired_difference, summarise
from mi_tui.errors import MiTuiError
from mi_tui.plan.base import Plan
from mi_tui.plan.budget import About
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe, labels
from mi_tui.text.percent import percent

LEVEL = 0.95

_SEVERAL = 3


class ComparisonError(MiTuiError):
    """A comparison that the rows of a study do not allow."""


class ComparedRow(Plan):
    """One row and what it changes against the reference; ``None`` without a common problem."""

    label: str
    summary: RecipeSummary
    difference: PairedDifference | None

    @property
    def verdict(self) -> str:
        """Whether the score is shown to differ: ``lower``, ``higher`` or ``unclear``."""
        if self.difference is None:
            return "no common problem"
        return verdict_of(self.difference.score)


class Comparison(Plan):
    """The reference and the rows compared with it.

    The intervals of the differences hold together: with a chance of ``level`` all of them cover
    (Bonferroni: each is at 1 − (1 − level) / rows), so that one of many rows does not stand out
    by luck alone.
    """

    reference: RecipeSummary
    reference_label: str
    rows: tuple[ComparedRow, ...]
    level: float = LEVEL
    each_level: float

    @property
    def note(self) -> str:
        """What the intervals mean, in a line."""
        count = sum(row.difference is not None for row in self.rows)
        text = f"Differences from {self.reference_label}, paired over the same problems."
        if count > 1:
            text += (
                f" All {count} intervals hold together with {percent(self.level)}"
                f" (each at {percent(self.each_level, 1)})."
            )
        if self._reference_is_the_best_of_several:
            text += " It scores best of all λ here, so its lead is in part luck."
        if self.not_scored:
            text += f" {self.not_scored:,} responses could not be scored and count nowhere (!)."
        return text

    @property
    def not_scored(self) -> int:
        """Responses of the reference and the rows that no scorer gave a judgement of."""
        return sum(row.not_scored for row in (self.reference, *(one.summary for one in self.rows)))

    @property
    def _reference_is_the_best_of_several(self) -> bool:
        others = [
            row.summary
            for row in self.rows
            if row.summary.recipe.is_uniform
            and row.summary.recipe.decoding == self.reference.recipe.decoding
        ]
        best = self.reference.score.value
        return len(others) >= _SEVERAL and all(row.score.value <= best for row in others)


def verdict_of(difference: Estimate) -> str:
    """What an interval of a difference shows."""
    if difference.high < 0:
        return "lower"
    return "higher" if difference.low > 0 else "unclear"


def compare(
    observations: Observations,
    reference: Recipe,
    *,
    level: float = LEVEL,
    about: About = "new-problems",
) -> Comparison:
    """Compare every recipe that was asked with the reference.

    Args:
        observations: the study's rollouts; held-out problems are left aside.
        reference: the recipe the others are compared with.
        level: the chance that all intervals of the differences cover.
        about: whether they speak of problems like these, or of these problems themselves.

    Raises:
        ComparisonError: the reference has no rollouts.
    """
    place = {recipe: index for index, recipe in enumerate(observations.recipes)}
    summaries = {row.recipe: row for row in summarise(observations, about=about)}
    if reference not in summaries:
        raise ComparisonError(
            f"{reference.label} has no rollouts yet: name another row to compare with"
        )
    others = [recipe for recipe in summaries if recipe != reference]
    names = labels([reference, *others])
    each = 1 - (1 - level) / max(len(others), 1)
    rows = []
    for label, recipe in zip(names[1:], others, strict=True):
        try:
            found = paired_difference(
                observations, place[recipe], place[reference], level=each, about=about
            )
        except MetricError:
            found = None
        rows.append(ComparedRow(label=label, summary=summaries[recipe], difference=found))
    return Comparison(
        reference=summaries[reference],
        reference_label=names[0],
        rows=tuple(rows),
        level=level,
        each_level=each,
    )


def find_reference(observations: Observations, preset: Preset, label: str | None = None) -> Recipe:
    """The recipe that the rows of a study are compared with.

    Args:
        observations: the study's rollouts.
        preset: the study's preset. The λ that most rows beside its search have is the
            reference, or else the only λ of the grid between the ends, or else the best-scoring.
        label: the reference's label as tables show it, instead.

    Raises:
        ComparisonError: no row has that label, or there are no rollouts.
    """
    rows = summarise(observations)
    if not rows:
        raise ComparisonError("there are no rollouts yet: let the study run on")
    if label is not None:
        names = labels([row.recipe for row in rows])
        found = [row.recipe for row, name in zip(rows, names, strict=True) if name == label]
        if not found:
            raise ComparisonError(f"no row {label!r}: there are {', '.join(names)}")
        return found[0]
    asked = {row.recipe for row in rows}
    for lambda_ in _lambdas_of_interest(asked, preset):
        if preset.recipe(lambda_) in asked:
            return preset.recipe(lambda_)
    uniform = [row for row in rows if row.recipe.is_uniform] or list(rows)
    return max(uniform, key=lambda row: row.score.value).recipe


def _lambdas_of_interest(asked: set[Recipe], preset: Preset) -> list[float]:
    """The λ of most rows beside the search, then the only one between the ends."""
    own = Counter(row.lambda_ for row in asked if row.lambda_ and row != preset.recipe(row.lambda_))
    between = [value for value in preset.search.grid if 0 < value < 1]
    return [value for value, _ in own.most_common()] + (between if len(between) == 1 else [])
