"""The answer as JSON: complete, and read back as it is."""

import json
from pathlib import Path

from hypothesis import given

from mi_tui.export.format import FORMATS, Subject, TextFormat
from tests.export.hostile import breakdown_of, subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    form = FORMATS["json"]
    assert isinstance(form, TextFormat)
    return form.text(subject)


def test_json_holds_recommendation_table_and_sources() -> None:
    data = json.loads(text_of(Subject(a_view(), an_answer(), {}, Path("/exports"))))
    assert data["recommendation"]["lambda"] == 0.5
    assert [row["label"] for row in data["table"]] == ["MI-0", "MI-0.5", "MI-1"]
    assert data["table"][1]["vote_ties"]["value"] == 0.125
    assert data["pair"]["thinking"] == "bundled:thinking"


def test_json_has_probes_strata_and_flips() -> None:
    parts = breakdown_of("geometry", a_view().rows)
    data = json.loads(
        text_of(Subject(a_view(), an_answer(), {}, Path("/exports"), breakdown=parts))
    )
    assert [group["stratum"] for group in data["groups"]] == [None, "geometry"]
    assert [row["label"] for row in data["groups"][1]["table"]] == ["MI-0", "MI-0.5", "MI-1"]
    assert data["flips"]["problems"][0]["flips"] == {"MI-0": "fixed"}
    bare = json.loads(text_of(Subject(a_view(), an_answer(), {}, Path("/exports"))))
    assert (bare["groups"], bare["flips"]) == ([], None)


@given(texts)
def test_hostile_texts_are_read_back_as_they_are(text: str) -> None:
    data = json.loads(text_of(subject_of(text)))
    assert data["recommendation"]["sentence"] == text
    assert data["table"][-1]["recipe"]["backbone"] == text
    assert len(data["table"]) == 4
