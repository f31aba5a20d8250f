"""The serve script: it runs the server on the checkpoint, and no text in it is a command."""

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from mi_tui.checkpoints.checks.remote_code import remote_code
from mi_tui.checkpoints.locate import locate
from mi_tui.export.format import FORMATS, Subject, TextFormat
from mi_tui.plan.remote_code import allow
from tests.checkpoints.planted import planted_pair
from tests.export.hostile import CANARY, HOSTILE, subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    form = FORMATS["serve"]
    assert isinstance(form, TextFormat)
    return form.text(subject)


def ran(subject: Subject, folder: Path, server: str = "vllm") -> list[str]:
    """What the script calls the server with, if the server is a script of ours."""
    (folder / server).write_text('#!/bin/sh\nprintf "%s\\037" "$@"\n')
    (folder / server).chmod(0o755)
    (folder / "serve.sh").write_text(text_of(subject), encoding="utf-8")
    done = subprocess.run(
        ["sh", str(folder / "serve.sh"), server],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\x1f")[:-1]


@pytest.mark.parametrize("server", ["vllm", "transformers"])
def test_the_serve_script_runs_the_server_on_the_checkpoint(tmp_path: Path, server: str) -> None:
    out = tmp_path / "it's here"
    called = ran(Subject(a_view(), an_answer(), {}, out), tmp_path, server)
    assert called[:2] == ["serve", str(out / "checkpoint")]
    named = ["--served-model-name", "Demo-MI-0.5"] if server == "vllm" else []
    assert called[2:] == named


def test_the_model_is_called_after_study_and_recipe_wherever_it_lies(tmp_path: Path) -> None:
    for folder in ("exports", "tuned"):
        subject = Subject(a_view(), an_answer(0.6), {}, tmp_path / folder)
        line = FORMATS["serve"].copied_text(subject)
        assert shlex.split(line)[-1] == "Demo-MI-0.6"
        assert text_of(subject).splitlines()[1].startswith("# Demo · MI-0.6: ")


def test_the_file_may_be_run(tmp_path: Path) -> None:
    subject = Subject(a_view(), an_answer(), {}, tmp_path)
    FORMATS["serve"].write(subject, tmp_path / "serve.sh", lambda *_: None, lambda: False)
    assert os.access(tmp_path / "serve.sh", os.X_OK)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_others_runs(text: str, tmp_path: Path) -> None:
    called = ran(subject_of(text, tmp_path / text.replace("/", "").replace("\0", "")), tmp_path)
    assert called[0] == "serve"
    assert called[2] == "--served-model-name"
    assert len(called) == 4
    assert not Path(CANARY).exists()


@given(texts)
def test_hostile_texts_add_no_line(text: str) -> None:
    plain, hostile = (text_of(subject_of(each)).splitlines() for each in ("plain", text))
    assert len(hostile) == len(plain)
    assert [line for line in hostile if line.startswith("#")] == hostile[:3]


def test_the_flag_for_remote_code_is_shown_and_needs_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    sides = planted_pair(tmp_path, tmp_path / "marks")
    view = a_view()
    pair = view.preset.pair.model_copy(
        update={
            "instruct": str(sides[0]),
            "thinking": str(sides[1]),
            "trust_remote_code": True,
        }
    )
    theirs = replace(view, preset=view.preset.model_copy(update={"pair": pair}))
    subject = Subject(theirs, an_answer(), {}, tmp_path / "out")
    assert "--trust-remote-code" not in ran(subject, tmp_path)
    assert "read it first" in text_of(subject)
    allow([remote_code(locate(str(sides[1])))])
    for server in ("vllm", "transformers"):
        assert "--trust-remote-code" in ran(subject, tmp_path, server)
    assert f"# code of {sides[1]}" in text_of(subject)
    assert FORMATS["serve"].copied_text(subject).rstrip().endswith("--trust-remote-code")
    assert not (tmp_path / "marks").exists()
