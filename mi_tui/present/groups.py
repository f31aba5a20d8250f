"""Results by probe and stratum: a table for each."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mi_tui.analysis.results import RecipeSummary
from mi_tui.analysis.statistics.groups import GroupResults
from mi_tui.present import numbers
from mi_tui.present.columns import COLUMNS, result_lines
from mi_tui.present.flips import group_name
from mi_tui.present.table import drawn


def _table(rows: Sequence[RecipeSummary], room: int, chosen: str | None) -> Table:
    lines = result_lines(rows, chosen)
    return drawn(COLUMNS, lines, room, lambda line: line.sign)


def group_title(group: GroupResults) -> str:
    """The group and how many search problems it has."""
    unit = "problem" if group.problems == 1 else "problems"
    return f"{group_name(group.probe, group.stratum)} · {numbers.count(group.problems)} {unit}"


def groups_picture(
    groups: Sequence[GroupResults], room: int, chosen: str | None = None
) -> RenderableType:
    """The tables one below the other, for ``room`` columns.

    Args:
        groups: the results of each group.
        room: the width.
        chosen: the key of the recipe that is marked.
    """
    parts: list[RenderableType] = []
    for group in groups:
        parts += [Text(group_title(group), "bold"), _table(group.rows, room, chosen), Text()]
    return Group(*parts[:-1])
