"""Export formats: what they declare, what names stand for, and how little they load."""

import subprocess
import sys
from pathlib import Path

import pytest

from mi_tui.export.errors import ExportError
from mi_tui.export.format import FORMATS, Subject, TextFormat, chosen
from tests.export.views import a_view, an_answer


class Toy(TextFormat):
    name = "toy"
    title = "toy"
    about = "a toy"
    file_name = "toy.txt"

    def text(self, subject: Subject) -> str:
        return subject.title


def test_every_format_declares_itself_and_writes_a_file_of_its_own() -> None:
    built_in = [each for each in FORMATS if type(each).__module__.startswith("mi_tui.")]
    assert [each.name for each in built_in] == [
        "preset",
        "json",
        "csv",
        "groups",
        "flips",
        "mergekit",
        "report",
        "serve",
        "serve-checkpoint",
        "checkpoint",
    ]
    assert len({each.file_name for each in built_in}) == len(built_in)
    assert all(each.title and each.about for each in built_in)
    assert [each.name for each in built_in if each.clipboard] == [
        "preset",
        "serve",
        "serve-checkpoint",
    ]


def test_names_stand_for_one_several_or_all() -> None:
    assert [each.name for each in chosen(["csv", "preset", "csv"])] == ["csv", "preset"]
    assert "checkpoint" not in [each.name for each in chosen(["configs"])]
    assert [each.name for each in chosen(["all"])] == list(FORMATS.names())
    with pytest.raises(ExportError, match=r"unknown export format 'xml': use one of preset, .*all"):
        chosen(["xml"])


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("title", ""), ("about", ""), ("file_name", "../toy.txt"), ("file_name", ""), ("name", "all")],
)
def test_a_declaration_with_a_hole_is_refused(attribute: str, value: str) -> None:
    Toy()
    with pytest.raises(TypeError, match="the export format"):
        type("Holed", (Toy,), {attribute: value})()


def test_a_format_without_a_text_for_the_clipboard_cannot_be_copied() -> None:
    subject = Subject(a_view(), an_answer(), {}, Path("/exports"))
    with pytest.raises(NotImplementedError):
        FORMATS["checkpoint"].copied_text(subject)


def test_listing_the_formats_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mi_tui.export.format import FORMATS\n"
        "assert len([each.title for each in FORMATS]) >= 7\n"
        "heavy = {'jinja2', 'numpy', 'torch', 'transformers', 'textual', 'pydantic', 'rich'}\n"
        "print(*sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
