"""The report: complete, well formed, and deaf to hostile text."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.export.html_report import report_html
from mi_tui.export.plot import Plot, Series, round_up
from tests.export.hostile import breakdown_of, subject_of, texts
from tests.export.views import a_view, an_answer, estimate

HOSTILE = "<script>alert(1)</script>"


def test_every_recipe_and_the_answer_are_in_it() -> None:
    html = report_html(a_view(), an_answer(), {"arithmetic": "Compute 1+1"})
    for text in ("MI-0", "MI-0.5", "MI-1", "λ = 0.50 it is.", "Compute 1+1", "bundled:thinking"):
        assert text in html
    for ties_none_and_tail in ("12.5 ± 5.0 %", "6.2 ± 5.0 %", "120 ± 20"):
        assert ties_none_and_tail in html
    assert html.count("<svg") == 3


def test_probes_strata_and_flips_are_in_it() -> None:
    plain = report_html(a_view(), an_answer(), {})
    assert "Each probe and stratum" not in plain
    assert "Problems that flip" not in plain
    html = report_html(a_view(), an_answer(), {}, breakdown=breakdown_of("geometry", a_view().rows))
    assert "<h3>geometry · geometry · 1 problem</h3>" in html
    flat = re.sub(r"\s+", " ", html)
    assert "<td>100 % of 2</td> <td>0 % of 2, 1 not scored</td><td>fixed</td>" in flat
    assert "A problem is solved where the mean score" in html


def test_what_was_not_scored_stands_beside_its_score() -> None:
    view = a_view()
    first = view.rows[0].model_copy(update={"not_scored": 7})
    html = report_html(replace(view, rows=(first, *view.rows[1:])), an_answer(), {})
    rows = re.findall(r"<tr[^>]*>\s*<td>MI-.*?</tr>", html, re.DOTALL)
    assert [("%!</td>" in row, "<td>7</td>" in row) for row in rows][:2] == [
        (True, True),
        (False, False),
    ]
    assert "Not scored" in html
    sentence = "3.1% of the responses could not be scored and count nowhere"
    assert sentence in report_html(view, an_answer(sentence=sentence), {})


def test_one_sample_per_problem_leaves_gaps_and_not_errors() -> None:
    view = a_view()
    bare = {"pass_at_k": None, "vote_at_k": None, "vote_ties": None, "vote_no_answer": None}
    rows = tuple(row.model_copy(update=bare) for row in view.rows)
    assert "<td>–</td><td>–</td>" in report_html(replace(view, rows=rows), an_answer(), {})


def test_hostile_text_is_shown_and_not_run() -> None:
    html = report_html(a_view(HOSTILE), an_answer(sentence=HOSTILE), {HOSTILE: HOSTILE})
    assert HOSTILE not in html
    assert html.count("<script") == 1, "ours, which alone the page's policy lets run"
    assert html.count("&lt;script&gt;") >= 4


class _Tags(HTMLParser):
    """The tags of a page with the names of their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))


@given(texts)
def test_hostile_texts_add_no_tag_and_no_attribute(text: str) -> None:
    pages = [
        report_html(
            subject.view, subject.answer, dict(subject.examples), breakdown=subject.breakdown
        )
        for subject in (subject_of("plain"), subject_of(text))
    ]
    assert _Tags(pages[1]).tags == _Tags(pages[0]).tags


def test_plots_are_well_formed_xml_that_loads_nothing() -> None:
    html = report_html(a_view(), an_answer(), {})
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)
    assert not re.search(r"https?://|<link|<img|@import", html)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6)), min_size=1, max_size=20),
    st.text(max_size=20).filter(lambda text: text.isprintable()),
)
def test_points_stay_inside_the_picture(points: list[tuple[float, float]], title: str) -> None:
    series = Series("s", "score", [x for x, _ in points], [estimate(y) for _, y in points], True)
    root = ElementTree.fromstring(str(Plot(title, "x", "y", (series,)).svg()))
    for circle in root.iter("circle"):
        assert 0 <= float(circle.get("cx", "nan")) <= 560
        assert 0 <= float(circle.get("cy", "nan")) <= 260


@given(st.floats(1e-6, 1e9))
def test_an_axis_ends_behind_its_last_value_and_not_far(value: float) -> None:
    assert value <= round_up(value) * (1 + 1e-9)
    assert round_up(value) <= 2.01 * value


@pytest.mark.parametrize(("value", "end"), [(168, 200), (0.9, 1.0), (12.4, 15), (0, 1.0)])
def test_axes_end_at_round_numbers(value: float, end: float) -> None:
    assert round_up(value) == pytest.approx(end)
