"""A comparison of several studies: their settings, answers and rows side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.api.study import Study
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import Budget, parse_budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import labels
from mi_tui.study.view import StudyState


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One of the studies; ``answer`` is ``None`` where there is none yet, for ``reason``."""

    name: str
    path: Path
    preset: Preset
    state: StudyState
    rows: tuple[RecipeSummary, ...]
    answer: Recommendation | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StudiesComparison:
    """Two or more studies, in the order in which they were named."""

    studies: tuple[ComparedStudy, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the studies do not share, so that their numbers cannot be compared as they are."""
        first = self.studies[0].preset
        presets = [study.preset for study in self.studies[1:]]
        found = []
        if any([p.key for p in other.probes] != [p.key for p in first.probes] for other in presets):
            found.append("The probes differ: scores and lengths are of other problems.")
        if any(other.pair != first.pair for other in presets):
            found.append("The pairs differ.")
        budgets = {study.answer.budget.spec for study in self.studies if study.answer}
        if len(budgets) > 1:
            found.append(f"The budgets differ: {', '.join(sorted(budgets))}.")
        return tuple(found)

    def data(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        return {"notes": list(self.notes), "studies": [_data(study) for study in self.studies]}


def compare_studies(
    references: Sequence[Path | str], budget: Budget | str | None = None
) -> StudiesComparison:
    """Compare studies; nothing is generated.

    Args:
        references: two or more studies, by path or name.
        budget: one question for all, instead of each one's own.

    Raises:
        StudyError: a study does not exist or cannot be read.
        BudgetError: the text is no budget.
        MiTuiError: fewer than two are named.
    """
    if len(references) < 2:
        raise MiTuiError("name two studies or more to compare")
    if isinstance(budget, str):
        parse_budget(budget)  # refused before any study is read
    return StudiesComparison(tuple(_read(reference, budget) for reference in references))


def _read(reference: Path | str, budget: Budget | str | None) -> ComparedStudy:
    with Study.load(reference) as study:
        view = study.view()
        answer, reason = None if budget else view.recommendation, ""
        if answer is None:
            try:
                answer = study.recommend(budget)
            except MiTuiError as error:
                reason = str(error)
    return ComparedStudy(
        view.name, view.path, view.preset, view.state, view.measured, answer, reason
    )


def _data(study: ComparedStudy) -> dict[str, Any]:
    names = labels([row.recipe for row in study.rows])
    return {
        "name": study.name,
        "path": str(study.path),
        "title": study.preset.title,
        "state": str(study.state),
        "pair": study.preset.pair.model_dump(mode="json"),
        "reason": study.reason,
        "recommendation": study.answer.model_dump(mode="json", by_alias=True)
        if study.answer
        else None,
        "rows": [
            {"label": label, **row.model_dump(mode="json", by_alias=True)}
            for label, row in zip(names, study.rows, strict=True)
        ],
    }
