"""The answer, the table and where they come from, as JSON."""

import json

from mi_tui.export.format import FORMATS, Subject, TextFormat


class JsonFormat(TextFormat):
    """What ``mi-tui recommend --json`` prints, as a file."""

    name = "json"
    title = "JSON"
    about = "recommendation and table, for programs"
    file_name = "recommendation.json"
    order = 20

    def text(self, subject: Subject) -> str:
        """Indented JSON."""
        from mi_tui.export.data import study_data

        data = study_data(subject.view, subject.answer, subject.breakdown)
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


FORMATS.register(JsonFormat())
