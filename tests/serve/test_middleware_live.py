"""A real server: every answer is that of its own λ's merged model, whatever else is asked."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import httpx2
import psutil
import pytest

from mi_tui.plan.recipe import Recipe
from tests.serve.live import DEFAULT, EFFORTS, KNOBS, MOST, QUESTIONS, Merged, asked, connected

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

LAMBDAS = (0.0, 0.15, 0.3, 0.55, 0.7, 0.85, 1.0)
WAYS = ("chat", "chat streamed", "completion", "completion streamed")


UNDER_WAY = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
"""Gauges of vLLM's ``/metrics``."""


async def post(client: httpx2.AsyncClient, path: str, body: Mapping[str, Any]) -> httpx2.Response:
    return await client.post(path, json=body)


async def test_seven_lambdas_and_twelve_prompts_at_once_in_every_way(
    address: str, merged: Merged
) -> None:
    plan = [(at, q, way) for at in LAMBDAS for q in QUESTIONS for way in WAYS]
    random.Random(0).shuffle(plan)
    async with connected(address) as client:
        texts = await asyncio.gather(
            *(asked(client, merged, way, q, MOST, model=f"pair@{at:g}") for at, q, way in plan)
        )
    wrong = [
        (at, q, way, text, merged.text(at, q, MOST))
        for (at, q, way), text in zip(plan, texts, strict=True)
        if text != merged.text(at, q, MOST)
    ]
    assert wrong == []
    assert len({merged.text(at, QUESTIONS[0], MOST) for at in LAMBDAS}) > 2, "λ makes a difference"


async def test_each_way_to_name_lambda_and_none(address: str, merged: Merged) -> None:
    question = QUESTIONS[0]
    named: list[tuple[dict[str, Any], float]] = [
        ({}, DEFAULT),
        ({"reasoning_effort": "none"}, 0.0),
        ({"reasoning_effort": "high"}, 1.0),
        ({"model": "pair@low"}, EFFORTS["low"]),
        ({"vllm_xargs": {"mi_tui_lambda": 0.85}}, 0.85),
    ]
    async with connected(address) as client:
        for fields, lambda_ in named:
            text = await asked(client, merged, "chat", question, MOST, **fields)
            assert text == merged.text(lambda_, question, MOST), fields
        for path, body, where in (
            ("/v1/responses", {"input": question, "max_output_tokens": MOST}, "output"),
            (
                "/v1/messages",
                {"messages": [{"role": "user", "content": question}], "max_tokens": MOST},
                "content",
            ),
        ):
            response = await post(client, path, {"model": "pair@1", "temperature": 0, **body})
            assert response.status_code == 200, response.text
            assert response.headers["x-mi-tui-lambda"] == "1"
            said = response.json()[where][0]
            found = said["content"][0]["text"] if where == "output" else said["text"]
            assert found == merged.text(1.0, question, MOST), path


async def test_a_recipe_with_several_lambdas_answers_among_plain_ones(
    address: str, merged: Merged
) -> None:
    recipe = Recipe(lambda_=KNOBS.lambda_, rules=KNOBS.rules)
    names: dict[str, float | Recipe] = {"pair@knobs": recipe, "pair@0.4": 0.4, "pair@0.9": 0.9}
    plan = [(name, question) for name in names for question in QUESTIONS]
    async with connected(address) as client:
        texts = await asyncio.gather(
            *(asked(client, merged, "chat", q, MOST, model=name) for name, q in plan)
        )
        body = {"model": "pair@knobs", "prompt": "a", "max_tokens": 1}
        told = (await post(client, "/v1/completions", body)).headers["x-mi-tui-lambda"]
    assert texts == [merged.text(names[name], q, MOST) for name, q in plan]
    assert told == "0.9/0.4"
    several = [texts[at : at + len(QUESTIONS)] for at in range(0, len(texts), len(QUESTIONS))]
    assert several[0] not in several[1:], "both λ make a difference"


@pytest.mark.parametrize("order", [(0.0, 1.0), (1.0, 0.0)])
async def test_a_prompt_that_is_cached_is_never_shared_across_lambda(
    address: str, merged: Merged, order: tuple[float, float]
) -> None:
    question = " ".join(f"Compute {at}+{int(10 * order[0])}" for at in range(30))
    assert len(merged.prompt(question)) > 150

    async def ask(client: httpx2.AsyncClient, lambda_: float, **more: Any) -> tuple[str, int]:
        body = {
            "model": f"pair@{lambda_:g}",
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": 24,
            **more,
        }
        said = (await post(client, "/v1/chat/completions", body)).json()
        cached = (said["usage"]["prompt_tokens_details"] or {}).get("cached_tokens") or 0
        return said["choices"][0]["message"]["content"], cached

    async with connected(address) as client:
        for lambda_ in order:
            text, cached = await ask(client, lambda_)
            assert cached == 0, "nothing of the other λ's prompt is taken"
            assert text == merged.text(lambda_, question, 24)
        for lambda_ in order:
            text, cached = await ask(client, lambda_)
            assert cached > 0, "its own prompt is"
            assert text == merged.text(lambda_, question, 24)
        assert (await ask(client, order[0], cache_salt="mine"))[1] == 0
        assert (await ask(client, order[0], cache_salt="mine"))[1] > 0
        assert (await ask(client, order[1], cache_salt="mine"))[1] == 0


HOSTILE: tuple[tuple[str, bytes], ...] = (
    ("/v1/chat/completions", b'{"vllm_xargs": {"mi_tui_lambda": NaN}}'),
    ("/v1/chat/completions", b'{"vllm_xargs": {"mi_tui_lambda": 1e999}}'),
    ("/v1/chat/completions", b'{"vllm_xargs": {"mi_tui_lambda": "1e999"}}'),
    ("/v1/chat/completions", b'{"vllm_xargs": {"mi_tui_lambda": [0.5]}}'),
    ("/v1/chat/completions", b'{"vllm_xargs": {"mi_tui_lambda": {}}}'),
    ("/v1/completions", b'{"vllm_xargs": {"mi_tui_recipe": "{}"}, "prompt": "a"}'),
    ("/v1/completions", b'{"vllm_xargs": {"mi_tui_other": 1}, "prompt": "a"}'),
    ("/v1/completions", b'{"model": "pair@' + b"9" * 100_000 + b'", "prompt": "a"}'),
    ("/v1/completions", b'{"model": "' + b"x" * 1_000_000 + b'", "prompt": "a"}'),
    ("/v1/completions", b'{"model": "pair@-0.5", "prompt": "a"}'),
    ("/v1/completions", b'{"cache_salt": {"a": 1}, "prompt": "a"}'),
    ("/v1/completions", b'{"cache_salt": "' + b"s" * 100_000 + b'", "prompt": "a"}'),
    ("/v1/completions", b"[" * 100_000),
    ("/v1/completions", b'{"prompt": "a", "temperature": 1e999}'),
    ("/v1/completions", b'{"prompt": "a", "echo": true, "logprobs": 1}'),
    ("/v1/completions", b'{"model": "pair@1", "prompt": "a", "use_beam_search": true}'),
    ("/v1/responses", b'{"input": "a", "reasoning": {"effort": "huge"}}'),
    ("/v1/messages", b'{"model": "pair@2", "max_tokens": 4, "messages": []}'),
    ("/inference/v1/generate", b'{"sampling_params": {"extra_args": {"mi_tui_recipe": "{}"}}}'),
    ("/v1/chat/completions/batch", b'{"model": "pair@0.3", "messages": [[]]}'),
    ("/invocations", b'{"model": "pair@nan", "prompt": "a"}'),
)


async def test_hostile_requests_are_refused_and_the_engine_goes_on(
    address: str, merged: Merged
) -> None:
    headers = {"Content-Type": "application/json"}
    async with connected(address) as client:
        for path, body in HOSTILE:
            response = await client.post(path, content=body, headers=headers)
            assert response.status_code in (400, 403, 404), (path, body[:60], response.text[:200])
            message = response.json()["error"]["message"]
            assert len(message) < 200, message
            assert "\n" not in message
        text = await asked(client, merged, "chat", QUESTIONS[1], MOST, model="pair@0.3")
    assert text == merged.text(0.3, QUESTIONS[1], MOST)


async def test_clients_that_go_in_the_middle_of_a_stream_leave_nothing_behind(
    address: str, merged: Merged
) -> None:
    """More at once than run together, each at a λ of its own; what is left is asked for."""

    async def begin(client: httpx2.AsyncClient, at: int) -> None:
        body = {
            "model": f"pair@{at / 300:.4f}",
            "messages": [{"role": "user", "content": QUESTIONS[at % len(QUESTIONS)]}],
            "max_tokens": 400,
            "ignore_eos": True,
            "stream": True,
        }
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.status_code == 200
            async for line in response.aiter_lines():
                if "content" in line and at % 3:
                    return  # the connection is closed with most of the answer to come

    async def running(client: httpx2.AsyncClient) -> float:
        lines = (await client.get("/metrics")).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(UNDER_WAY))

    plan = [(at, q) for at in (0.3, 0.7) for q in QUESTIONS]
    async with connected(address) as client:
        *_, texts = await asyncio.gather(
            *(begin(client, at) for at in range(150)),
            asyncio.gather(
                *(asked(client, merged, "chat", q, MOST, model=f"pair@{at}") for at, q in plan)
            ),
        )
        assert texts == [merged.text(at, q, MOST) for at, q in plan]
        async with asyncio.timeout(120):
            while await running(client):
                await asyncio.sleep(0.2)


async def test_ten_thousand_lambdas_leave_the_memory_as_it_is(
    server: tuple[str, int], merged: Merged
) -> None:
    address, process = server
    gate = asyncio.Semaphore(64)
    # Each shares its prompt with all others: caching one λ's prompt for another would show.
    prompt = merged.prompt(QUESTIONS[1])

    async def one(client: httpx2.AsyncClient, at: int) -> int:
        body = {"model": f"pair@{at / 10_000:.4f}", "prompt": prompt, "max_tokens": 1}
        async with gate:
            return (await post(client, "/v1/completions", body)).status_code

    def used() -> int:
        tree = psutil.Process(process)
        return sum(one.memory_info().rss for one in (tree, *tree.children(recursive=True)))

    async with connected(address) as client:
        statuses = [*await asyncio.gather(*(one(client, at) for at in range(2_000)))]
        before = used()
        statuses += await asyncio.gather(*(one(client, at) for at in range(2_000, 10_000)))
        grown = used() - before
        text = await asked(client, merged, "chat", QUESTIONS[0], MOST, model="pair@0.7")
    assert statuses == [200] * 10_000
    assert text == merged.text(0.7, QUESTIONS[0], MOST)
    assert grown < 48 << 20, f"{grown / 8000:.0f} bytes for each λ"


async def test_the_models_and_the_dial_are_listed(address: str) -> None:
    async with connected(address) as client:
        models = [each["id"] for each in (await client.get("/v1/models")).json()["data"]]
        dial = (await client.get("/v1/dial")).json()
    assert models == ["pair", *(f"pair@{name}" for name in (*EFFORTS, "knobs"))]
    assert [each["recipe"] for each in dial["recipes"]] == ["knobs"]
    assert {each["effort"]: each["lambda"] for each in dial["efforts"]} == EFFORTS
    assert dial["lambda"] == DEFAULT
