"""Flips in words: what was not scored and what stands for another λ is said."""

import io
import json

from rich.console import Console

from mi_tui.analysis.statistics.flips import Flip
from mi_tui.present.flips import csv_rows, flip_words, flips_data, flips_picture, group_name
from tests.tui import views


def printed(width: int, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width)
    flips = views.breakdown().flips
    assert flips is not None
    console.print(flips_picture(flips, width, **options))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_counts_and_problems_fit_eighty_columns() -> None:
    shown = printed(80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "MI-0.7 was not asked itself: MI-0.6" in " ".join(shown.split())
    assert "2 responses were not scored and are left out" in " ".join(shown.split())
    (line,) = (line for line in shown.splitlines() if "0002" in line)
    assert line.count("fixed") == 2
    assert line.count("25 % of 4!") == 2
    assert "0001" not in shown


def test_other_classes_are_listed_when_asked_for() -> None:
    assert "0001" in printed(120, kinds=[Flip.ALWAYS])
    assert "No problem is never." in printed(120, kinds=[Flip.NEVER])


def test_json_and_csv_have_every_problem() -> None:
    flips = views.breakdown().flips
    assert flips is not None
    data = json.loads(json.dumps(flips_data(flips)))
    assert [one["problem"] for one in data["problems"]] == ["0001", "0002"]
    assert data["problems"][1]["flips"] == {"MI-0": "fixed", "MI-1": "fixed"}
    assert data["against"][0]["groups"][0]["fixed"] == 1
    assert data["stands_for"] == "MI-0.7"
    head, *rows = csv_rows(flips)
    assert len(rows) == 4
    assert {len(row) for row in rows} == {len(head)}
    assert csv_rows(None) == [head]


def test_the_words_of_one_problem() -> None:
    flips = views.breakdown().flips
    assert flips is not None
    assert flip_words(flips, 1).startswith(
        "MI-0.6 100 % of 4 · from MI-0 (25 % of 4, 1 not scored)"
    )
    assert flip_words(flips, 9) == ""


def test_names_of_strangers_are_made_safe() -> None:
    assert group_name("p\x1b[2J\n", "") == "p · no stratum"
