"""The results table as CSV."""

import csv
import io
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
    from mi_tui.export.escaping import csv_text
    from mi_tui.present.columns import csv_fields, result_lines

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    fields = csv_fields()
    writer.writerow([field.name for field in fields])
    for line in result_lines(rows):
        cells = [field.value(line) for field in fields]
        writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in cells])
    return buffer.getvalue()


FORMATS.register(CsvFormat())
