"""The problems under the recommended recipe, Instruct and Thinking, as CSV."""

from mi_tui.export.format import FORMATS, Subject, TextFormat


class FlipsFormat(TextFormat):
    """A row for each problem and each recipe that the recommended one is compared with."""

    name = "flips"
    title = "CSV of flips"
    about = "problems that are fixed or broken, for spreadsheets"
    file_name = "flips.csv"
    order = 32

    def text(self, subject: Subject) -> str:
        """The problems; the header alone where nothing could be compared."""
        from mi_tui.export.escaping import csv_lines
        from mi_tui.present.flips import csv_rows

        return csv_lines(csv_rows(subject.flips))


FORMATS.register(FlipsFormat())
