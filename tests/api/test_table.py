"""The table: rows by label and λ, as text, as HTML, as a data frame."""

import sys

import pytest

from mi_tui.analysis.results import Estimate, RecipeSummary
from mi_tui.api.table import Table, TableError
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import ModuleKind, Scope


def an_estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value * 0.9, high=value * 1.1)


def a_summary(recipe: Recipe, score: float = 0.5) -> RecipeSummary:
    return RecipeSummary(
        recipe=recipe,
        rollouts=40,
        problems=10,
        samples=4,
        score=an_estimate(score),
        think_ratio=an_estimate(0.2),
        tokens=an_estimate(100.0),
        tokens_p50=90.0,
        tokens_p50_interval=an_estimate(90.0),
        tokens_p95=200.0,
        tokens_p95_interval=an_estimate(200.0),
        truncated=0.1,
        truncated_interval=an_estimate(0.1),
    )


FFN = Scope(modules=(ModuleKind.FFN,))


def test_rows_are_found_by_label_and_by_lambda() -> None:
    at = [Recipe(lambda_=0.0), Recipe(lambda_=0.5), Recipe(lambda_=0.5, scope=FFN)]
    table = Table([a_summary(recipe) for recipe in at])
    assert len(table) == 3
    assert [row.recipe for row in table] == at
    assert table[0].recipe == at[0]
    assert table[0.5].recipe == at[1]  # the whole model's, not a part's
    assert table[table.rows[2].label].recipe == at[2]
    with pytest.raises(TableError, match=r"λ = 1: there are MI-0, MI-0\.5"):
        table[1]
    with pytest.raises(LookupError, match="'MI-7'"):
        table["MI-7"]
    with pytest.raises(TableError, match="none yet"):
        Table([])[0.5]


def test_a_lambda_of_several_rows_is_refused() -> None:
    greedy = Recipe(lambda_=0.5, decoding=Decoding(temperature=0.0))
    table = Table([a_summary(greedy), a_summary(Recipe(lambda_=0.5))])
    with pytest.raises(TableError, match=r"several rows have λ = 0\.5"):
        table[0.5]
    assert table["MI-0.5"].recipe in (greedy, Recipe(lambda_=0.5))


def test_it_is_shown_as_text_and_as_escaped_html() -> None:
    recipe = Recipe(lambda_=0.5, backbone="x/<b>bold</b>")
    table = Table([a_summary(recipe)], title="<script>")
    lines = str(table).splitlines()
    assert lines[0].split()[:2] == ["Recipe", "Stage"]
    assert len({len(line) for line in lines}) == 1
    shown = table._repr_html_()
    assert "<b>" not in shown
    assert "<script>" not in shown
    assert repr(table) == "<Table of 1 row>"
    assert "40" in repr(table.rows[0])


def test_it_becomes_a_data_frame_where_pandas_is(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table([a_summary(Recipe(lambda_=0.5), 0.25), a_summary(Recipe(lambda_=1.0), 0.75)])
    frame = pytest.importorskip("pandas") and table.to_pandas()
    assert list(frame.index) == ["MI-0.5", "MI-1"]
    assert list(frame["lambda"]) == [0.5, 1.0]
    assert list(frame["score"]) == [0.25, 0.75]
    assert (frame["score_low"] < frame["score"]).all()
    assert frame["seconds"].isna().all()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(TableError, match="pip install pandas"):
        table.to_pandas()
