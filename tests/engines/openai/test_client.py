"""An OpenAI-compatible server is asked, timed, and its failings become one line."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mi_tui.engines.openai import client
from mi_tui.engines.openai.client import (
    Answer,
    Endpoint,
    EndpointError,
    OpenAIClient,
    Question,
    only_model,
)
from mi_tui.engines.protocol import Engine, Request
from mi_tui.plan.recipe import Decoding, Recipe
from tests.checkpoints.families import tiny_pair
from tests.engines.openai_server import Served, serve
from tests.engines.support import engine_for, run

RECIPE = Recipe(lambda_=0.5)
QUESTION = Question(({"role": "user", "content": "one two"},), Decoding(), 7, 12)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_for(tiny_pair("qwen3", tmp_path_factory.mktemp("pair")))


@pytest.fixture
def served(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(client, "_PAUSES", (0.01, 0.01))
    with serve(Served(engine, RECIPE)) as running:
        yield running


def ask(url: str, question: Question = QUESTION, key: str = "") -> tuple[Answer, str]:
    async def once() -> tuple[Answer, str]:
        async with OpenAIClient(Endpoint(url, key)) as client:
            model = only_model(await client.models())
            return await client.ask(model, question), client.remark

    return asyncio.run(once())


def test_the_answer_is_the_models_with_its_own_count(served: Served, engine: Engine) -> None:
    answer, remark = ask(served.url)
    prompt = engine.encode(engine.render(QUESTION.messages))
    expected = run(engine, [Request(0, RECIPE, prompt, 7, 12)])[0]
    assert (answer.text, answer.tokens) == (expected.text, expected.token_count)
    assert answer.finish_reason == expected.finish_reason
    assert 0 < answer.first_token <= answer.seconds
    assert remark == ""
    (body,) = served.asked
    assert body["top_k"] == -1
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("merged", 12, 0.6)


def test_a_busy_server_is_asked_again_and_then_given_up(served: Served) -> None:
    served.busy = 2
    assert ask(served.url)[0].tokens > 0
    served.busy = 3
    with pytest.raises(EndpointError, match="503: busy"):
        ask(served.url)


def test_a_server_that_knows_no_top_k_is_asked_without(served: Served) -> None:
    served.knows_top_k = False
    _, remark = ask(served.url)
    assert "top_k" in remark
    assert "top_k" not in served.asked[-1]


def test_the_key_is_sent_and_never_shown(served: Served) -> None:
    served.key = "secret"
    assert ask(served.url, key="secret")[0].tokens > 0
    with pytest.raises(EndpointError, match="wrong key"):
        ask(served.url, key="other")
    assert "secret" not in repr(Endpoint(served.url, "secret"))


def test_lengths_need_a_count(served: Served) -> None:
    served.counts_tokens = False
    with pytest.raises(EndpointError, match="completion_tokens"):
        ask(served.url)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="cannot be reached"):
        ask("http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("http://box:8000", "http://box:8000/v1"),
        ("http://box:8000/v1/", "http://box:8000/v1"),
        ("https://me:word@box/api/v1/chat/completions", "https://box/api/v1"),
    ],
)
def test_addresses(written: str, base: str) -> None:
    assert Endpoint(written).base == base


@pytest.mark.parametrize("written", ["box:8000", "ftp://box", "http://", "http://box:port", ""])
def test_what_is_no_address(written: str) -> None:
    with pytest.raises(EndpointError, match="no address"):
        _ = Endpoint(written).base


def test_several_models_want_a_name() -> None:
    with pytest.raises(EndpointError, match="--model"):
        only_model(["a", "b"])
