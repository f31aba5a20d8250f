"""A study's table and answer as plain data, for ``--json`` and ``recommendation.json``."""

from collections.abc import Sequence
from typing import Any

from mi_tui import __version__
from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.analysis.statistics.groups import GroupResults
from mi_tui.plan.recipe import labels
from mi_tui.present.flips import flips_data
from mi_tui.study.view import Breakdown, StudyView


def study_data(
    view: StudyView,
    answer: Recommendation | None,
    breakdown: Breakdown | None = None,
) -> dict[str, Any]:
    """Recommendation, tables and where they come from.

    Args:
        view: the study.
        answer: its recommendation, if there is one.
        breakdown: its results by probe and stratum, and the problems that flip.
    """
    apart = breakdown or Breakdown()
    return {
        "mi_tui": __version__,
        "study": str(view.path),
        "state": view.state,
        "message": view.message,
        "pair": view.preset.pair.model_dump(mode="json"),
        "recommendation": answer and answer.model_dump(mode="json", by_alias=True),
        "table": table_data(view.measured),
        "groups": groups_data(apart.groups),
        "flips": None if apart.flips is None else flips_data(apart.flips),
    }


def groups_data(groups: Sequence[GroupResults]) -> list[dict[str, Any]]:
    """The table of each probe (its stratum is null) and of each of its strata."""
    return [
        {
            "probe": group.probe,
            "stratum": group.stratum,
            "problems": group.problems,
            "table": table_data(group.rows),
        }
        for group in groups
    ]


def table_data(rows: Sequence[RecipeSummary]) -> list[dict[str, Any]]:
    """The table's rows, with the recipe's label beside its data."""
    names = labels([row.recipe for row in rows])
    return [
        {"label": name, **row.model_dump(mode="json", by_alias=True)}
        for name, row in zip(names, rows, strict=True)
    ]
