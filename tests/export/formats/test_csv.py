"""The table as CSV: numbers in every cell that was measured, no formula in any."""

import csv
import io

from hypothesis import given

from mi_tui.export.formats.csv import table_csv
from tests.export.hostile import subject_of, texts
from tests.export.views import a_view


def test_csv_has_a_row_per_recipe_and_numbers_in_every_cell_that_was_measured() -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv(a_view().rows))))
    assert [row["lambda"] for row in rows] == ["0.0", "0.5", "1.0"]
    assert float(rows[1]["score_low"]) < float(rows[1]["score"]) < float(rows[1]["score_high"])
    for name in ("pass_at_k", "vote_ties", "vote_no_answer", "tokens_p95", "truncated"):
        assert float(rows[1][f"{name}_low"]) < float(rows[1][name]) < float(rows[1][f"{name}_high"])
    assert rows[0]["seconds"] == ""


@given(texts)
def test_hostile_texts_are_one_cell_and_no_formula(text: str) -> None:
    written = table_csv(subject_of(text).view.measured)
    assert len(written.splitlines()) == 5
    for row in csv.reader(io.StringIO(written)):
        assert len(row) == len(written.splitlines()[0].split(","))
        assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
