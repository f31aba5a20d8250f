"""Tables of studies for a terminal: the results of one, the list of all."""

from rich import box
from rich.table import Table
from rich.text import Text

from mi_tui.present import signs
from mi_tui.present.columns import COLUMNS, result_lines, with_recommended
from mi_tui.present.table import drawn
from mi_tui.study.view import StudyEntry, StudyView

_TITLE, _BEST = 16, 16
"""Columns of a study's title, and of its best λ or what became of it, in the list of studies."""


def results_table(view: StudyView, room: int) -> Table:
    """One line per recipe, the recommended one marked and in bold; 80 columns are enough."""
    chosen = view.recommendation.row_key if view.recommendation else None
    lines = result_lines(with_recommended(view.rows, view.recommendation), chosen)
    return drawn(COLUMNS, lines, room, lambda line: line.sign)


def studies_table(entries: tuple[StudyEntry, ...]) -> Table:
    """One row per study, the latest first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    # The name is there to be copied: folded where it must be, never cut.
    table.add_column("Study", overflow="fold", min_width=20)
    for name in ("Preset", "State", "Rollouts", "Best so far"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for entry in entries:
        rollouts = f"{entry.rollouts}/{entry.planned}"
        cells = [
            Text(cell) for cell in (entry.name, entry.title, signs.state(entry.state), rollouts)
        ]
        best = Text(entry.best)
        cells[1].truncate(_TITLE, overflow="ellipsis")
        best.truncate(_BEST, overflow="ellipsis")
        table.add_row(*cells, best)
    return table
