"""Flips as CSV: a row for each problem and comparison."""

import csv
import io
from pathlib import Path

from hypothesis import given

from mi_tui.export.format import FORMATS, Subject, TextFormat
from tests.export.hostile import breakdown_of, subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    form = FORMATS["flips"]
    assert isinstance(form, TextFormat)
    return form.text(subject)


def test_a_row_for_each_problem_and_comparison() -> None:
    parts = breakdown_of("geometry", a_view().rows)
    (row,) = csv.DictReader(
        io.StringIO(text_of(Subject(a_view(), an_answer(), {}, Path("/exports"), breakdown=parts)))
    )
    assert (row["recipe"], row["score"], row["against"], row["against_not_scored"]) == (
        "MI-1",
        "1.0",
        "MI-0",
        "1",
    )
    assert (row["probe"], row["problem"], row["flip"]) == ("geometry", "geometry", "fixed")


def test_without_flips_there_is_the_header_alone() -> None:
    text = text_of(Subject(a_view(), an_answer(), {}, Path("/exports")))
    assert text.startswith("probe,problem,stratum,recipe")
    assert len(text.splitlines()) == 1


@given(texts)
def test_hostile_names_are_one_cell_and_no_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text_of(subject_of(text)))))
    assert len(rows) == 2
    assert {len(row) for row in rows} == {12}
    for row in rows:
        assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]
