"""A study's table and answer as plain data, for ``--json`` and ``recommendation.json``."""

from collections.abc import Sequence
from typing import Any

from mi_tui import __version__
from mi_tui.analysis.results import RecipeSummary, Recommendation
from mi_tui.plan.recipe import labels
from mi_tui.study.view import StudyView


def study_data(view: StudyView, answer: Recommendation | None) -> dict[str, Any]:
    """Recommendation, table and where they come from."""
    return {
        "mi_tui": __version__,
        "study": str(view.path),
        "state": view.state,
        "message": view.message,
        "pair": view.preset.pair.model_dump(mode="json"),
        "recommendation": answer and answer.model_dump(mode="json", by_alias=True),
        "table": table_data(view.measured),
    }


def table_data(rows: Sequence[RecipeSummary]) -> list[dict[str, Any]]:
    """The table's rows, with the recipe's label beside its data."""
    names = labels([row.recipe for row in rows])
    return [
        {"label": name, **row.model_dump(mode="json", by_alias=True)}
        for name, row in zip(names, rows, strict=True)
    ]
