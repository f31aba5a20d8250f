"""The results by probe and stratum as CSV."""

from mi_tui.export.format import FORMATS, Subject, TextFormat


class GroupsFormat(TextFormat):
    """A row for each recipe in each probe, and in each stratum where a probe has several."""

    name = "groups"
    title = "CSV by stratum"
    about = "the results of each probe and stratum, for spreadsheets"
    file_name = "groups.csv"
    order = 31

    def text(self, subject: Subject) -> str:
        """The tables of all groups below each other; ``level`` says which kind of group it is."""
        from mi_tui.export.escaping import csv_lines
        from mi_tui.present.columns import csv_fields, result_lines

        fields = csv_fields()
        rows: list[list[object]] = [
            ["level", "probe", "stratum", "search_problems", *(field.name for field in fields)]
        ]
        for group in subject.groups:
            level = "probe" if group.stratum is None else "stratum"
            own = [level, group.probe, group.stratum, group.problems]
            rows += [
                [*own, *(field.value(line) for field in fields)]
                for line in result_lines(group.rows)
            ]
        return csv_lines(rows)


FORMATS.register(GroupsFormat())
