"""Results by probe and stratum as CSV: the columns of the table, behind the group."""

import csv
import io
from pathlib import Path

from hypothesis import given

from mi_tui.export.format import FORMATS, Subject, TextFormat
from tests.export.hostile import breakdown_of, subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    form = FORMATS["groups"]
    assert isinstance(form, TextFormat)
    return form.text(subject)


def test_a_row_for_each_recipe_of_each_group() -> None:
    parts = breakdown_of("geometry", a_view().rows)
    subject = Subject(a_view(), an_answer(), {}, Path("/exports"), breakdown=parts)
    rows = list(csv.DictReader(io.StringIO(text_of(subject))))
    assert [(row["level"], row["stratum"], row["lambda"]) for row in rows] == [
        *(("probe", "", value) for value in ("0.0", "0.5", "1.0")),
        *(("stratum", "geometry", value) for value in ("0.0", "0.5", "1.0")),
    ]
    assert float(rows[1]["score_low"]) < float(rows[1]["score"])


@given(texts)
def test_hostile_names_are_one_cell_and_no_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text_of(subject_of(text)))))
    assert len(rows) == 9
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in rows:
        assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]
