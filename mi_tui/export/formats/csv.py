"""The results table as CSV."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mi_tui.export.format import FORMATS, Subject, TextFormat

if TYPE_CHECKING:
    from mi_tui.analysis.results import RecipeSummary


class CsvFormat(TextFormat):
    """A row for each recipe that was measured."""

    name = "csv"
    title = "CSV"
    about = "the results table with intervals, for spreadsheets"
    file_name = "table.csv"
    order = 30

    def text(self, subject: Subject) -> str:
        """The table."""
        return table_csv(subject.view.measured)


def table_csv(rows: "Sequence[RecipeSummary]") -> str:
    """The results table as CSV; intervals in columns of their own, empty where not measured."""
    from mi_tui.export.escaping import csv_lines
    from mi_tui.present.columns import csv_fields, result_lines

    fields = csv_fields()
    lines = result_lines(rows)
    head = [field.name for field in fields]
    return csv_lines([head, *([field.value(line) for field in fields] for line in lines)])


FORMATS.register(CsvFormat())
