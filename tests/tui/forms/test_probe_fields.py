"""The catalogue of probes: every kind is there, and its form reads what it shows."""

from typing import get_args

import pytest

from mi_tui.plan.probe import AnyProbe
from mi_tui.tui.forms.probe_fields import (
    CATALOGUE,
    Kind,
    fields_of,
    new_probe,
    read_probe,
    texts_of,
)

KINDS = {
    get_args(one.model_fields["kind"].annotation)[0] for one in get_args(get_args(AnyProbe)[0])
}


def test_every_kind_of_probe_is_offered_once() -> None:
    assert sorted(kind.name for kind in CATALOGUE) == sorted(KINDS)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_a_probe_comes_back_from_its_form_as_it_went_in(kind: Kind) -> None:
    plan = new_probe(kind)
    assert read_probe(plan, texts_of(plan)) == (plan, {})
    assert len(kind.about) <= 50
    assert {field.name for field in fields_of(kind.name)} == set(texts_of(plan))


@pytest.mark.parametrize(
    ("kind", "field", "text", "said"),
    [
        ("arithmetic", "operations", "1", "greater than or equal to 2"),
        ("arithmetic", "operations", "2 9", "up to 5"),
        ("word-problems", "difficulty", "", "up to 5"),
        ("word-problems", "problems", "1", "a whole number from 2"),
        ("word-problems", "problems", "9999", "5000"),
        ("ifeval", "weight", "0", "more than 0"),
        ("ifeval", "held_out", "95", "up to 90"),
        ("aime25", "max_new_tokens", "x", "a whole number"),
        ("file", "path", "", "string"),
        ("file", "scorer", "magic", "json-schema"),
        ("lm-eval", "task", "", "either task"),
        ("lm-eval", "few_shot", "-1", "a whole number from 0"),
    ],
)
def test_a_bad_field_is_told_at_its_place(kind: str, field: str, text: str, said: str) -> None:
    plan = new_probe(next(one for one in CATALOGUE if one.name == kind))
    read, problems = read_probe(plan, {**texts_of(plan), field: text})
    assert read is None
    assert set(problems) == {field}
    assert said in problems[field]


def test_an_lm_eval_task_may_be_a_file() -> None:
    plan = new_probe(next(one for one in CATALOGUE if one.name == "lm-eval"))
    read, _ = read_probe(plan, {**texts_of(plan), "task": "my/task.yaml"})
    assert read is not None
    assert (read.path, read.task) == ("my/task.yaml", None)  # type: ignore[union-attr]
    assert texts_of(read)["task"] == "my/task.yaml"


def test_what_the_form_does_not_show_is_kept() -> None:
    plan = new_probe(CATALOGUE[0]).model_copy(update={"seed": 7})
    read, _ = read_probe(plan, {"weight": "2"})
    assert read is not None
    assert (read.seed, read.weight) == (7, 2.0)
