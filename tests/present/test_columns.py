"""One declaration of the results table: CLI, plain lines, app, CSV, HTML and Python agree."""

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from mi_tui.analysis.results import Estimate, RecipeSummary
from mi_tui.api.table import Table
from mi_tui.cli.follow import print_result
from mi_tui.cli.tables import results_table
from mi_tui.export.formats.csv import table_csv
from mi_tui.export.html_report import report_html
from mi_tui.plan.recipe import interpolation
from mi_tui.present import columns, numbers
from mi_tui.present.columns import ResultLine, result_lines
from mi_tui.present.table import Column, Field, Shown
from mi_tui.study.view import StudyState
from tests.tui import views
from tests.tui.driving import shown, until
from tests.tui.screens.steps.test_probe_run import opened, watching
from tests.tui.services import SteeredServices

ANSWER = views.recommendation(recipe=interpolation(0.6))
VIEW = views.view(StudyState.DONE, answer=ANSWER)
Cells = dict[str, dict[str, str]]
"""The cells of each recipe by column id."""


def wanted(*, brief: bool = False) -> Cells:
    lines = result_lines(VIEW.rows, ANSWER.recipe.key)

    def cell(column: Column[ResultLine], line: ResultLine) -> str:
        return ((brief and column.brief) or column.text)(line)

    listed = columns.COLUMNS
    return {line.label: {one.id: cell(one, line) for one in listed} for line in lines}


def titled(titles: list[str], cells: list[str]) -> dict[str, str]:
    """Cells by the id of the column that has their title, in full or short."""
    by_title = {name: one.id for one in columns.COLUMNS for name in (one.title, one.short) if name}
    return dict(zip((by_title[title] for title in titles), cells, strict=True))


def split(lines: list[str]) -> Cells:
    """The cells of a table in text: parted by two spaces, its first line the titles."""
    titles, *rest = (re.split(r" {2,}", line.strip(" ▸")) for line in lines)
    return {cells[0]: titled(titles, cells) for cells in rest}


def in_the_command(width: int) -> Cells:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(results_table(VIEW, width))
    return split([line for line in capture.get().splitlines() if "─" not in line and line.strip()])


def in_plain_lines() -> Cells:
    buffer = io.StringIO()
    print_result(VIEW, Console(file=buffer, width=400), plain=True)
    found: Cells = {}
    for line in buffer.getvalue().splitlines()[: len(VIEW.rows)]:
        label, rest = line.split(": ", 1)
        label = label.removesuffix(" (recommended)")
        found[label] = {"recipe": label}
        for part in rest.split(", "):
            (one,) = [c for c in columns.COLUMNS if part.startswith(c.title + " ")]
            found[label][one.id] = part.removeprefix(one.title + " ")
    return found


class _Tables(HTMLParser):
    """The tables of the class ``results``, each a list of rows of texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._inside = self._cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._inside = ("class", "results") in attrs
            if self._inside:
                self.tables.append([])
        elif self._inside and tag == "tr":
            self.tables[-1].append([])
        elif self._inside and tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data


def in_the_report() -> Cells:
    found: Cells = {}
    for titles, *rows in _Tables(report_html(VIEW, ANSWER, {})).tables:
        for cells in rows:
            found.setdefault(cells[0], {}).update(titled(titles, cells))
    return found


def in_the_csv_file() -> Cells:
    """The numbers of the file, read back and written out as the columns write them."""
    found: Cells = {}
    originals = {line.label: line.row for line in result_lines(VIEW.rows)}
    for record in csv.DictReader(io.StringIO(table_csv(VIEW.rows))):
        row = originals[record["recipe"]].model_copy(update=measures(record))
        line = ResultLine(row, record["recipe"], record["recipe"])
        found[line.label] = {one.id: one.text(line) for one in columns.COLUMNS}
    return found


def measures(record: dict[str, str]) -> dict[str, Any]:
    def estimate(name: str) -> Estimate | None:
        if record[name] == "":
            return None
        value, low, high = (float(record[name + end]) for end in ("", "_low", "_high"))
        return Estimate(value=value, low=low, high=high)

    names = ("score", "think_ratio", "tokens", "seconds", "seconds_p95", "pass_at_k", "vote_at_k",
             "vote_ties", "vote_no_answer")  # fmt: skip
    found: dict[str, Any] = {name: estimate(name) for name in names}
    found |= {f"{n}_interval": estimate(n) for n in ("truncated", "tokens_p50", "tokens_p95")}
    found |= {n: float(record[n]) for n in ("truncated", "tokens_p50", "tokens_p95")}
    found |= {n: int(record[n]) for n in ("rollouts", "problems", "samples", "stage")}
    return found | {"tokens_censored": record["tokens_censored"] == "True"}


def in_python() -> Cells:
    return split(str(Table(VIEW.rows)).splitlines())


def assert_same(found: Cells, expected: Cells, least: int) -> None:
    """Each recipe once, in the same order, and every cell that is shown has the one text."""
    assert list(found) == list(expected)
    for label, cells in found.items():
        assert len(cells) >= least
        order = [one.id for one in columns.COLUMNS if one.id in cells]
        assert list(cells) == order or least == len(columns.COLUMNS)
        assert cells == {id: expected[label][id] for id in cells}


def test_every_place_shows_the_same_titles_and_texts() -> None:
    always = sum(one.shown is Shown.ALWAYS for one in columns.COLUMNS)
    assert_same(in_the_command(400), wanted(), always + 1)
    assert_same(in_the_command(100), wanted(brief=True), always)
    assert_same(in_the_report(), wanted(), len(columns.COLUMNS))
    assert_same(in_the_csv_file(), wanted(), len(columns.COLUMNS))
    assert_same(in_python(), wanted(), always)
    spoken = {label: {**cells, "stage": cells["stage"][-1]} for label, cells in wanted().items()}
    assert_same(in_plain_lines(), spoken, always)


@pytest.mark.parametrize("width", [100, 250])
async def test_the_app_shows_the_same_titles_and_texts(width: int) -> None:
    async with watching(SteeredServices(VIEW)).run_test(size=(width, 40)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: width < 250 or "Trunc." in shown(pilot.app))
        lines = [line.split("│")[0].rstrip() for line in shown(pilot.app).splitlines()]
    first = next(at for at, line in enumerate(lines) if "Mean@k" in line)
    table = [re.sub(r" (?=Think #R)", "  ", line) for line in lines[first : first + 8]]
    expected = wanted(brief=True)
    titles = [one.short or one.title for one in columns.COLUMNS]
    assert [title for title in titles if title in table[0]][:8] == titles[:8]
    for line, (label, cells) in zip(table[1:], expected.items(), strict=True):
        always = [one.id for one in columns.COLUMNS if one.shown is Shown.ALWAYS]
        assert re.split(r" {2,}", re.sub(r"(?<=%) +", "  ", line.strip(" ▸")))[: len(always)] == [
            cells[id] for id in always
        ], label


def test_a_difference_in_one_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mi_tui.export.html_report.of_section",
        lambda section: tuple(
            one if one.id != "truncated" else Column(
                id=one.id, title=one.title, help=one.help, width=one.width,
                text=lambda line: numbers.percent(line.row.truncated, 2),
            )
            for one in columns.of_section(section)
        ),
    )  # fmt: skip
    with pytest.raises(AssertionError):
        assert_same(in_the_report(), wanted(), len(columns.COLUMNS))


def test_a_new_column_is_one_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    def each(row: RecipeSummary) -> float:
        return row.rollouts / row.problems

    toy: Column[ResultLine] = Column(
        id="each",
        title="Each",
        help="Rollouts of a problem.",
        text=lambda line: numbers.ratio(each(line.row)),
        width=6,
        order=lambda line: each(line.row),
        fields=(Field("each", lambda line: each(line.row)),),
        shown=Shown.WITH_ROOM,
    )
    monkeypatch.setattr(columns, "COLUMNS", (*columns.COLUMNS, toy))
    monkeypatch.setattr("mi_tui.cli.tables.COLUMNS", columns.COLUMNS)
    assert in_the_command(400)["MI-0.6"]["each"] == "×4.00"
    assert in_the_report()["MI-0.6"]["each"] == "×4.00"
    records = csv.DictReader(io.StringIO(table_csv(VIEW.rows)))
    assert {record["each"] for record in records} == {"4.0"}
    assert "each" in {one.id for one in columns.fitting(250)}
