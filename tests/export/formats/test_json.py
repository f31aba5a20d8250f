"""The answer as JSON: complete, and read back as it is."""

import json
from dataclasses import replace
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


def test_json_counts_what_was_not_scored() -> None:
    view, answer = a_view(), an_answer().model_copy(update={"not_scored": 0.03})
    first = view.rows[0].model_copy(update={"not_scored": 7})
    subject = Subject(replace(view, rows=(first, *view.rows[1:])), answer, {}, Path("/exports"))
    data = json.loads(text_of(subject))
    assert [row["not_scored"] for row in data["table"]] == [7, 0, 0]
    assert data["recommendation"]["not_scored"] == 0.03


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
