"""The catalogue of probes: every kind is there, and its form reads what it shows."""

from itertools import groupby
from typing import Any, get_args

import pytest

from mi_tui.probes.kinds.lm_eval import LmEvalProbe
from mi_tui.probes.probe_kind import Kind, kind_of, probe_kinds
from mi_tui.tui.forms.probe_fields import read_probe, texts_of


def test_the_kinds_of_a_group_stand_together() -> None:
    groups = [group for group, _ in groupby(probe_kinds(), key=lambda kind: kind.group)]
    assert len(groups) == len(set(groups)) == 3


@pytest.mark.parametrize("kind", probe_kinds(), ids=lambda kind: kind.name)
def test_a_probe_comes_back_from_its_form_as_it_went_in(kind: Kind[Any]) -> None:
    plan = kind.new()
    assert get_args(kind.plan.model_fields["kind"].annotation) == (kind.name,)
    assert read_probe(plan, texts_of(plan)) == (plan, {})
    assert len(kind.about) <= 50
    assert {field.name for field in kind.form} == set(texts_of(plan))


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
        ("file", "path", "", "at least 1 character"),
        ("file", "scorer", "magic", "json-schema"),
        ("file", "columns", "prompt", "write prompt=question, answer=target"),
        ("file", "columns", "prompt=a, prompt=b", "write prompt=question"),
        ("file", "columns", "question=prompt", "no column question: use prompt"),
        ("lm-eval", "task", "", "either task"),
        ("lm-eval", "few_shot", "-1", "a whole number from 0"),
    ],
)
def test_a_bad_field_is_told_at_its_place(kind: str, field: str, text: str, said: str) -> None:
    plan = kind_of(kind).new()
    read, problems = read_probe(plan, {**texts_of(plan), field: text})
    assert read is None
    assert set(problems) == {field}
    assert said in problems[field]


def test_an_lm_eval_task_may_be_a_file() -> None:
    plan = kind_of("lm-eval").new()
    read, _ = read_probe(plan, {**texts_of(plan), "task": "my/task.yaml"})
    assert isinstance(read, LmEvalProbe)
    assert (read.path, read.task) == ("my/task.yaml", None)
    assert texts_of(read)["task"] == "my/task.yaml"


def test_what_the_form_does_not_show_is_kept() -> None:
    plan = probe_kinds()[0].new().model_copy(update={"seed": 7})
    read, _ = read_probe(plan, {"weight": "2"})
    assert read is not None
    assert (read.seed, read.weight) == (7, 2.0)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("prompt=question, answer=target", {"prompt": "question", "answer": "target"}),
        (" prompt = a b ,answer=c", {"prompt": "a b", "answer": "c"}),
        ('"prompt=in, out",answer=1=2', {"prompt": "in, out", "answer": "1=2"}),
        ("", {}),
    ],
)
def test_columns_are_read_as_they_are_shown(text: str, columns: dict[str, str]) -> None:
    plan = kind_of("file").new()
    read, problems = read_probe(plan, {**texts_of(plan), "columns": text})
    assert problems == {}
    assert getattr(read, "columns", None) == columns
    assert read is not None
    assert read_probe(plan, texts_of(read)) == (read, {})
