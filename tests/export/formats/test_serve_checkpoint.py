"""The serve script: it runs the server on the checkpoint, and no text in it is a command."""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from mi_tui.checkpoints.checks.remote_code import remote_code
from mi_tui.checkpoints.locate import locate
from mi_tui.export.format import FORMATS, Subject, TextFormat
from mi_tui.plan.recipe import Decoding
from mi_tui.plan.remote_code import allow
from tests.checkpoints.planted import planted_pair
from tests.export.hostile import CANARY, HOSTILE, subject_of, texts
from tests.export.views import a_view, an_answer


def text_of(subject: Subject) -> str:
    form = FORMATS["serve-checkpoint"]
    assert isinstance(form, TextFormat)
    return form.text(subject)


def ran(subject: Subject, folder: Path, server: str = "vllm") -> list[str]:
    """What the script calls the server with, if the server is a script of ours."""
    (folder / server).write_text('#!/bin/sh\nprintf "%s\\037" "$@"\n')
    (folder / server).chmod(0o755)
    (folder / "serve-checkpoint.sh").write_text(text_of(subject), encoding="utf-8")
    done = subprocess.run(
        ["sh", str(folder / "serve-checkpoint.sh"), server],
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
    assert called[2:4] == named
    assert "--default-chat-template-kwargs" not in called
    assert "--chat-template-kwargs" not in called


def test_the_model_is_called_after_study_and_recipe_wherever_it_lies(tmp_path: Path) -> None:
    for folder in ("exports", "tuned"):
        subject = Subject(a_view(), an_answer(0.6), {}, tmp_path / folder)
        line = FORMATS["serve-checkpoint"].copied_text(subject)
        assert shlex.split(line)[4] == "Demo-MI-0.6"
        assert text_of(subject).splitlines()[1].startswith("# Demo · MI-0.6: ")


def test_the_file_may_be_run(tmp_path: Path) -> None:
    subject = Subject(a_view(), an_answer(), {}, tmp_path)
    path = tmp_path / "serve-checkpoint.sh"
    FORMATS["serve-checkpoint"].write(subject, path, lambda *_: None, lambda: False)
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_others_runs(text: str, tmp_path: Path) -> None:
    called = ran(subject_of(text, tmp_path / text.replace("/", "").replace("\0", "")), tmp_path)
    assert called[0] == "serve"
    assert called[2] == "--served-model-name"
    assert called[4] == "--override-generation-config"
    assert len(called) == 6
    assert not Path(CANARY).exists()


SETTINGS: dict[str, bool | int | float | str] = {
    "enable_thinking": True,
    "reasoning_effort": "high",
    "budget": 512,
    "share": 0.5,
    "it's": "$(touch " + CANARY + ")",
    'quoted "twice"': "`touch " + CANARY + "`; rm -rf \\ '",
    "λ": "😀 & | > < * ? [a] {b,c} ~ ! #",
    "--flag": "-n",
    "": "",
}


def with_settings(subject: Subject, settings: Mapping[str, bool | int | float | str]) -> Subject:
    view = subject.view
    # Nothing checked comes this far with control characters; it is quoted all the same.
    pair = view.preset.pair.model_copy(update={"chat_template_kwargs": settings})
    view = replace(view, preset=view.preset.model_copy(update={"pair": pair}))
    return replace(subject, view=view)


@pytest.mark.parametrize("server", ["vllm", "transformers"])
def test_template_settings_reach_the_server_through_a_real_shell(
    server: str, tmp_path: Path
) -> None:
    option = "--default-chat-template-kwargs" if server == "vllm" else "--chat-template-kwargs"
    hostile = {f"{place}": text for place, text in enumerate(HOSTILE)}
    for settings in (SETTINGS, hostile, dict.fromkeys(HOSTILE, True)):
        subject = with_settings(Subject(a_view(), an_answer(), {}, tmp_path), settings)
        called = ran(subject, tmp_path, server)
        given = json.loads(called[called.index(option) + 1])
        assert given == settings
        assert [type(value) for value in given.values()] == [type(v) for v in settings.values()]
        assert not Path(CANARY).exists()
        line = FORMATS["serve-checkpoint"].copied_text(subject)
        assert json.loads(shlex.split(line)[-1]) == settings


@pytest.mark.parametrize("temperature", [0.0, 0.6])
def test_requests_are_sampled_as_the_study_was(temperature: float, tmp_path: Path) -> None:
    answer = an_answer()
    decoding = Decoding(temperature=temperature, top_p=0.8, top_k=20)
    recipe = answer.recipe.model_copy(update={"decoding": decoding})
    subject = Subject(a_view(), answer.model_copy(update={"recipe": recipe}), {}, tmp_path)
    called = ran(subject, tmp_path)
    given = json.loads(called[called.index("--override-generation-config") + 1])
    assert (given["temperature"], given["top_p"], given["top_k"]) == (temperature, 0.8, 20)
    assert given["repetition_penalty"] == 1.0
    assert given["max_new_tokens"] is None


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
    assert FORMATS["serve-checkpoint"].copied_text(subject).rstrip().endswith("--trust-remote-code")
    assert not (tmp_path / "marks").exists()
