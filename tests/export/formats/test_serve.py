"""The serve script: it runs ``mi-tui serve`` on preset or study, and no text in it is a command."""

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from mi_tui.export.format import FORMATS, Subject, TextFormat
from mi_tui.plan.budget import parse_budget
from tests.export.hostile import CANARY, HOSTILE, subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    form = FORMATS["serve"]
    assert isinstance(form, TextFormat)
    return form.text(subject)


def ran(subject: Subject, folder: Path, *arguments: str) -> list[str]:
    """What the script calls ``mi-tui`` with."""
    (folder / "mi-tui").write_text('#!/bin/sh\nprintf "%s\\037" "$@"\n')
    (folder / "mi-tui").chmod(0o755)
    (folder / "serve.sh").write_text(text_of(subject), encoding="utf-8")
    done = subprocess.run(
        ["sh", str(folder / "serve.sh"), *arguments],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\x1f")[:-1]


def test_the_exported_preset_is_served_where_it_is_and_else_the_study(tmp_path: Path) -> None:
    out = tmp_path / "it's here"
    out.mkdir()
    subject = Subject(a_view(), an_answer(), {}, out)
    study = str(subject.view.path)
    asked = ["serve", study, "--budget", "tokens<=80", "--port", "9"]
    assert ran(subject, tmp_path, "--port", "9") == asked
    (out / "preset.toml").write_text("")
    called = ran(subject, tmp_path, "--", "--max-model-len", "5")
    assert called == ["serve", str(out / "preset.toml"), "--", "--max-model-len", "5"]


def test_the_studys_own_budget_is_not_said_again(tmp_path: Path) -> None:
    view = a_view()
    answer = an_answer()
    own = replace(view, preset=view.preset.model_copy(update={"budget": answer.budget}))
    line = FORMATS["serve"].copied_text(Subject(own, answer, {}, tmp_path))
    assert shlex.split(line) == ["mi-tui", "serve", str(view.path)]
    other = answer.model_copy(update={"budget": parse_budget("knee")})
    line = FORMATS["serve"].copied_text(Subject(own, other, {}, tmp_path))
    assert shlex.split(line)[-2:] == ["--budget", "knee"]


def test_the_file_may_be_run(tmp_path: Path) -> None:
    subject = Subject(a_view(), an_answer(), {}, tmp_path)
    FORMATS["serve"].write(subject, tmp_path / "serve.sh", lambda *_: None, lambda: False)
    assert os.access(tmp_path / "serve.sh", os.X_OK)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_others_runs(text: str, tmp_path: Path) -> None:
    called = ran(subject_of(text, tmp_path / text.replace("/", "").replace("\0", "")), tmp_path)
    assert called[0] == "serve"
    assert not Path(CANARY).exists()


@given(texts)
def test_hostile_texts_add_no_line(text: str) -> None:
    plain, hostile = (text_of(subject_of(each)).splitlines() for each in ("plain", text))
    assert len(hostile) == len(plain)
    assert [line for line in hostile if line.startswith("#")] == hostile[:3]
