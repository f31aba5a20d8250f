"""Servers that are busy, silent, broken or strange: asked again where it helps, else one line."""

import asyncio
import contextlib
import email.utils
import gzip
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.engines.openai import client
from mi_tui.engines.openai.client import Answer, Endpoint, EndpointError, OpenAIClient, Question
from mi_tui.engines.openai.events import Heard, UnreadableError, seconds_to_wait
from mi_tui.plan.recipe import Decoding
from tests.engines.scripted_server import (
    SILENCE,
    Reply,
    Scripted,
    count,
    events,
    piece,
    scripted,
    streamed,
    whole,
)

QUESTION = Question(({"role": "user", "content": "one two"},), Decoding(), 7, 12)
STREAM = {"Content-Type": "text/event-stream"}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made between two tries; none takes time."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(client, "_sleep", pause)
    return made


def ask(answers: Sequence[Reply], timeout: float = 30.0) -> tuple[Answer, Scripted]:
    async def once(url: str) -> Answer:
        async with OpenAIClient(Endpoint(url, timeout=timeout)) as client:
            return await client.ask("merged", QUESTION)

    with scripted(answers) as server:
        return asyncio.run(once(server.url)), server


def names(models: Reply, timeout: float = 30.0) -> list[str]:
    async def once(url: str) -> list[str]:
        async with OpenAIClient(Endpoint(url, timeout=timeout)) as client:
            return await client.models()

    with scripted([whole()], models) as server:
        return asyncio.run(once(server.url))


def test_the_pauses_grow_and_end(pauses: list[float]) -> None:
    with pytest.raises(EndpointError, match="answered 503: full") as failed:
        ask([Reply(503, b'{"error": {"message": "full"}}')])
    assert pauses == [0.5, 2.0, 8.0]
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_as_long_as_it_asks(status: int, pauses: list[float]) -> None:
    busy = Reply(status, b"slow down", {"Retry-After": "5"})
    answer, server = ask([busy, busy, busy, whole("two")])
    assert answer.text == "two"
    assert pauses == [5.0, 5.0, 8.0]
    assert len(server.asked) == 4


def test_a_server_that_asks_for_an_hour_is_not_waited_for(pauses: list[float]) -> None:
    with pytest.raises(EndpointError, match="429: no reason; it asks to wait 3600 s"):
        ask([Reply(429, b"{}", {"Retry-After": "3600"})])
    assert pauses == []


def test_the_models_are_asked_for_again_too(pauses: list[float]) -> None:
    with pytest.raises(EndpointError, match="503: Loading model"):
        names(Reply(503, b'{"error": {"message": "Loading model"}}'))
    assert pauses == [0.5, 2.0, 8.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        (email.utils.formatdate(1_000_090, usegmt=True), 90.0),
        (email.utils.formatdate(999_000, usegmt=True), 0.0),
        ("soon", 0.0),
        ("-3", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_what_a_server_asks_to_wait(header: str | None, seconds: float) -> None:
    assert seconds_to_wait(header, 1_000_000) == seconds


@given(st.text())
def test_no_header_is_an_error(header: str) -> None:
    assert seconds_to_wait(header, 0.0) >= 0


@pytest.mark.parametrize(
    "broken",
    [
        streamed(piece("half a"), promised=100),
        streamed(piece("half a")),
        streamed(piece("half a", "stop")),
        Reply(headers=STREAM, body=b""),
    ],
    ids=["cut off", "ended early", "ended before the count", "nothing"],
)
def test_an_answer_that_breaks_off_is_asked_for_again(broken: Reply, pauses: list[float]) -> None:
    answer, server = ask([broken, whole("anew", 5)])
    assert (answer.text, answer.tokens) == ("anew", 5)
    assert pauses == [0.5]
    assert server.asked[0] == server.asked[1]
    with pytest.raises(EndpointError, match=r"broke off|cannot be reached"):
        ask([broken])


@pytest.mark.parametrize(
    "silent",
    [SILENCE, Reply(headers=STREAM, silent=True), streamed(piece("half a"), silent=True)],
    ids=["nothing", "headers alone", "half an answer"],
)
def test_a_silent_server_is_given_up(silent: Reply, pauses: list[float]) -> None:
    with pytest.raises(EndpointError, match=r"was silent for 0\.2 s: raise --timeout") as failed:
        ask([silent], timeout=0.2)
    assert pauses == []
    assert "\n" not in str(failed.value)


def test_silence_when_asked_for_the_models() -> None:
    with pytest.raises(EndpointError, match="was silent"):
        names(SILENCE, timeout=0.2)


def choice(**parts: object) -> dict[str, object]:
    return {"choices": [parts]}


@pytest.mark.parametrize(
    "said",
    [
        "{broken",
        "[1, 2]",
        "null",
        {"choices": 5},
        {"choices": ["text"]},
        choice(delta="text"),
        choice(delta={"content": ["a", "list"]}),
        choice(delta={"reasoning_content": 3}),
        choice(finish_reason=3),
        {"usage": "many"},
        count("12"),
        count(-1),
        count(1.5),
    ],
)
def test_an_event_that_is_none(said: object, pauses: list[float]) -> None:
    with pytest.raises(EndpointError, match="no event of a chat completion") as failed:
        ask([streamed(piece("one"), said, piece("", "stop"), count(2), "[DONE]")])
    assert "\n" not in str(failed.value)
    assert pauses == []


def test_what_is_not_used_may_be_missing_or_more() -> None:
    said: tuple[dict[str, object], ...] = (
        {"id": 1, "choices": None, "usage": None},
        {"choices": []},
        choice(delta={"role": "assistant", "content": None}, index=0, logprobs=None),
        choice(delta={"content": "one", "tool_calls": []}, finish_reason=None),
        choice(delta=None, finish_reason="stop", stop_reason=7),
        {"usage": {"completion_tokens": 3, "prompt_tokens": "x"}},
    )
    comment = b": ping\n\nevent: message\n"
    answer, _ = ask([Reply(body=comment + events(*said, "[DONE]"), headers=STREAM)])
    assert (answer.text, answer.tokens, answer.finish_reason) == ("one", 3, "stop")


@pytest.mark.parametrize(
    "last", [{}, {"usage": None}, {"usage": {}}, {"usage": {"completion_tokens": None}}]
)
def test_a_missing_count(last: dict[str, object]) -> None:
    with pytest.raises(EndpointError, match=r"no usage\.completion_tokens"):
        ask([streamed(piece("one", "stop"), last, "[DONE]")])


def test_a_server_that_breaks_off_with_a_reason() -> None:
    with pytest.raises(EndpointError, match="broke off: out of memory"):
        ask([streamed(piece("one"), {"error": {"message": "out of memory", "code": 500}})])


@pytest.mark.parametrize(
    "odd",
    [
        Reply(body=b'{"choices": []}', headers={"Content-Type": "application/json"}),
        Reply(body=b"broken", headers={**STREAM, "Content-Encoding": "gzip"}),
    ],
    ids=["not streamed", "not compressed"],
)
def test_answers_in_another_form(odd: Reply) -> None:
    with pytest.raises(EndpointError, match=r"without streaming|cannot be read") as failed:
        ask([odd])
    assert "\n" not in str(failed.value)


def test_a_compressed_answer() -> None:
    body = gzip.compress(whole("one").body)
    answer, _ = ask([Reply(body=body, headers={**STREAM, "Content-Encoding": "gzip"})])
    assert answer.text == "one"


@pytest.mark.parametrize(
    "listed",
    [b"<html>hello</html>", b"", b"[]", b'{"data": 3}', b'{"data": [3]}', b'{"data": [{"id": 3}]}'],
)
def test_a_page_that_lists_no_models(listed: bytes) -> None:
    with pytest.raises(EndpointError, match="no list of models") as failed:
        names(Reply(body=listed))
    assert "\n" not in str(failed.value)


def test_an_address_where_nobody_listens_is_refused_at_once(pauses: list[float]) -> None:
    async def once() -> None:
        async with OpenAIClient(Endpoint("http://127.0.0.1:1")) as client:
            await client.models()

    with pytest.raises(EndpointError, match="is the server running"):
        asyncio.run(once())
    assert pauses == []


def test_an_empty_list_of_models() -> None:
    with pytest.raises(EndpointError, match="lists no model"):
        names(Reply(body=b'{"data": []}'))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "no such model"}', "404: no such model"),
        (b'{"error": {"message": "no such model"}}', "404: no such model"),
        (b'{"message": "no such model"}', "404: no such model"),
        (b'{"detail": [{"loc": 1}]}', "404: .*loc"),
        (b"plain words", "404: plain words"),
        (b"\xff\xfe", "404: "),
        (b"", "404: no reason"),
    ],
)
def test_reasons_wherever_they_are(body: bytes, said: str) -> None:
    with pytest.raises(EndpointError, match=said):
        ask([Reply(404, body)])


KEYS = st.sampled_from(["choices", "delta", "content", "usage", "completion_tokens", "error"])
JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(JSON.map(json.dumps) | st.text())
def test_whatever_is_said_is_heard_or_refused(data: str) -> None:
    heard = Heard()
    with contextlib.suppress(UnreadableError):
        heard.take(data)
    assert heard.tokens is None or heard.tokens >= 0


def test_cancelling_hangs_up() -> None:
    async def cancelled(server: Scripted) -> None:
        async with OpenAIClient(Endpoint(server.url)) as client:
            asking = asyncio.create_task(client.ask("merged", QUESTION))
            await asyncio.to_thread(server.in_silence.wait, 30)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    with scripted([streamed(piece("half a"), silent=True)]) as server:
        asyncio.run(cancelled(server))
        assert server.hung_up.wait(30)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(
    ("content", "finish", "text"),
    [
        ("3", "stop", "<think>1+2</think>3"),
        (None, "stop", "1+2"),
        ("", "stop", "1+2"),
        (None, "length", "<think>1+2"),
    ],
)
def test_reasoning_sent_apart_is_put_back(
    field: str, content: str | None, finish: str, text: str
) -> None:
    heard = Heard()
    heard.take(json.dumps({"choices": [{"delta": {field: "1+2"}}]}))
    heard.take(json.dumps({"choices": [{"delta": {"content": content}, "finish_reason": finish}]}))
    assert heard.text == text


@pytest.mark.parametrize("tokens", [10**30, 1 << 41, 10**6])
def test_a_count_that_cannot_be_is_not_believed(tokens: int, pauses: list[float]) -> None:
    with pytest.raises(EndpointError, match=r"completion_tokens|tokens where"):
        ask([whole(tokens=tokens)])


def test_an_endless_answer_is_given_up(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_BYTES_PER_TOKEN", 1)
    monkeypatch.setattr(client, "_SMALL_BODY", 1 << 12)
    with pytest.raises(EndpointError, match=r"sends more than .* bytes"):
        ask([streamed(*[piece("x" * 100) for _ in range(100)])])


def test_an_endless_line_is_given_up(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SMALL_BODY", 1 << 12)
    with pytest.raises(EndpointError, match=r"sends more than .* bytes"):
        names(Reply(body=b"[" * (1 << 20)))


def test_a_bomb_is_not_unpacked(pauses: list[float]) -> None:
    bomb = gzip.compress(bytes(1 << 26))
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/event-stream"}
    with pytest.raises(EndpointError, match=r"sends more than .* bytes"):
        ask([Reply(body=bomb, headers=headers)])
    with pytest.raises(EndpointError, match=r"sends more than .* bytes"):
        names(Reply(status=404, body=bomb, headers=headers))


@pytest.mark.parametrize("url", ["http://me:secret@", "ftp://me:secret@host"])
def test_a_password_in_an_address_is_not_repeated(url: str) -> None:
    with pytest.raises(EndpointError) as error:
        _ = Endpoint(url).base
    assert "secret" not in str(error.value)
