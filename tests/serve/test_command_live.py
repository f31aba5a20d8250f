"""Real clients of a real server, and the other ways to start one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mi_tui.probes.kinds.arithmetic import held_out_chains
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from tests.serve.live import (
    EFFORTS,
    MOST,
    PAIR,
    QUESTIONS,
    SMALL,
    Merged,
    asked,
    connected,
    serving,
)
from tests.study.presets import small_preset

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

PAIR_OPTIONS = ("--instruct", str(PAIR[0]), "--thinking", str(PAIR[1]), "--name", "pair")


async def test_openais_own_client(address: str, merged: Merged) -> None:
    openai = pytest.importorskip("openai")
    client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    question = QUESTIONS[0]
    messages = [{"role": "user", "content": question}]
    said = {"temperature": 0, "max_tokens": MOST}

    listed = [model.id async for model in client.models.list()]
    assert "pair@low" in listed
    plain = await client.chat.completions.create(model="pair@low", messages=messages, **said)
    assert plain.choices[0].message.content == merged.text(EFFORTS["low"], question, MOST)
    effort = await client.chat.completions.create(
        model="pair", messages=messages, reasoning_effort="high", **said
    )
    assert effort.choices[0].message.content == merged.text(1.0, question, MOST)
    body = {"vllm_xargs": {"mi_tui_lambda": 0.3}}
    extra = await client.chat.completions.create(
        model="pair", messages=messages, extra_body=body, **said
    )
    assert extra.choices[0].message.content == merged.text(0.3, question, MOST)
    stream = await client.chat.completions.create(
        model="pair@1", messages=messages, stream=True, **said
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert len(pieces) > 2
    assert "".join(pieces) == merged.text(1.0, question, MOST)
    response = await client.responses.create(
        model="pair",
        input=question,
        reasoning={"effort": "low"},
        temperature=0,
        max_output_tokens=MOST,
    )
    assert response.output_text == merged.text(EFFORTS["low"], question, MOST)
    # Of several answers vLLM wants a temperature; the one likeliest token is greedy all the same.
    several = await client.chat.completions.create(
        model="pair@1",
        messages=messages,
        n=3,
        logprobs=True,
        temperature=1,
        max_tokens=MOST,
        extra_body={"top_k": 1},
    )
    texts = {choice.message.content for choice in several.choices}
    assert texts == {merged.text(1.0, question, MOST)}
    assert several.choices[0].logprobs.content
    with pytest.raises(openai.BadRequestError, match="λ behind @ must be a number from 0 to 1"):
        await client.chat.completions.create(model="pair@7", messages=messages, **said)
    structured = await client.chat.completions.create(
        model="pair@1",
        messages=messages,
        extra_body={"structured_outputs": {"choice": ["41", "42"]}},
        **said,
    )
    assert structured.choices[0].message.content in ("41", "42")


def test_each_effort_is_confirmed_in_one_go(
    address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    study = create_study(small_preset(problems=16, samples=2), tmp_path_factory.mktemp("study"))
    assert work(StudyFolder(study)) is StudyState.DONE
    asked_of = ("confirm", str(study), "--endpoint", address, "--samples", "2", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "mi_tui", *asked_of],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    found = json.loads(done.stdout)
    assert [one["recipe"]["lambda"] for one in found] == [0.0, 0.3, 0.55, 1.0]
    assert [one["efforts"] for one in found] == [["none", "minimal"], ["low"], ["medium"], ["high"]]
    tokens = [one["comparisons"][1] for one in found]
    assert [one["measure"] for one in tokens] == ["tokens"] * 4
    measured = [one["measured"]["value"] for one in tokens]
    assert measured[0] < measured[3], "thinking is longer"


TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {data}}}
test_split: train
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], temperature: 0.0, max_gen_toks: 64}}
filter_list:
  - name: boxed
    filter:
      - {{function: regex, regex_pattern: 'boxed\\{{(\\d+)\\}}'}}
      - {{function: take_first}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""


def lm_eval_score(folder: Path, address: str, model: str) -> float:
    """The score that lm-eval's own chat client gives a model of a server."""
    out = folder / model.replace("@", "-")
    options = f"model={model},base_url={address}/v1/chat/completions,num_concurrent=8,eos_string=x"
    of_model = ("--model", "local-chat-completions", "--model_args", options)
    of_task = ("--tasks", "sums", "--include_path", str(folder), "--apply_chat_template")
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *of_model, *of_task, "--output_path", str(out)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = out.rglob("results_*.json")
    return float(json.loads(results.read_text())["results"]["sums"]["exact_match,boxed"])


async def test_lm_eval_scores_a_lambda_as_its_merged_model(
    address: str, merged: Merged, tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval")
    rows = [
        {"question": chain.prompt, "answer": str(chain.answer)}
        for chain in held_out_chains(seed=0, count=60, operations=(2, 3, 4, 5))
    ]
    data = tmp_path / "sums.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sums.yaml").write_text(TASK.format(data=data))
    mixed = lm_eval_score(tmp_path, address, "pair@0.55")
    with serving(tmp_path / "log", *PAIR_OPTIONS, "--merged", "--lambda", "0.55") as (alone, _):
        assert lm_eval_score(tmp_path, alone, "pair") == mixed
        async with connected(alone) as client:
            for question in QUESTIONS[:4]:
                text = await asked(client, merged, "chat", question, MOST)
                assert text == merged.text(0.55, question, MOST), "the merge is that λ"
            body = {"model": "pair@0.3", "prompt": "a"}
            refused = await client.post("/v1/completions", json=body)
            assert refused.status_code == 400
            assert "one merged model" in refused.json()["error"]["message"]
    assert 0 < mixed < 1, "neither all nor nothing, which any two models might have in common"


async def test_who_has_no_key_is_told_nothing(
    needs_vllm: None, preset: Path, tmp_path: Path
) -> None:
    """The key guards the dial, and a body of whom has none is not read."""
    options = (*SMALL, "--api-key", "secret")
    with serving(tmp_path / "log", str(preset), options=options, answers_with=401) as (address, _):
        async with httpx2.AsyncClient(base_url=address) as client:
            assert (await client.get("/v1/dial")).status_code == 401
            bad: dict[str, Any] = {"model": "pair@7", "prompt": "a"}
            assert (await client.post("/v1/completions", json=bad)).status_code == 401
            key = {"Authorization": "Bearer secret"}
            assert (await client.get("/v1/dial", headers=key)).json()["model"] == "pair"
            refused = await client.post("/v1/completions", json=bad, headers=key)
            assert refused.status_code == 400
