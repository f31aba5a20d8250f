"""The middleware in front of an application: what passes, what is refused, and when."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.engines.vllm.worker.requested_lambda import RECIPE
from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe
from mi_tui.serve import middleware
from mi_tui.serve.dial import VARIABLE
from mi_tui.serve.middleware import DialMiddleware, Message, Receive, Scope, Send
from tests.serve.dials import DIAL

CHAT = "/v1/chat/completions"
PIECES = (b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n")


@dataclass
class Server:
    """Stands for vLLM's application: looks at the key, reads the body, streams an answer."""

    key: str = ""
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)
    disconnected: list[bool] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        headers = {name.lower(): value for name, value in scope["headers"]}
        self.headers.append(headers)
        assert scope["method"] == "GET" or b"content-length" not in headers
        if self.key and headers.get(b"authorization") != f"Bearer {self.key}".encode():
            await self._answer(send, 401, (b"unauthorised",))
            return
        if scope["method"] != "GET":
            body = b""
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ConnectionError("the client has gone")  # as Starlette does
                body += message["body"]
                if not message["more_body"]:
                    break
            self.bodies.append(body)
        await self._answer(send, 200, PIECES)
        if scope["method"] != "GET":
            self.disconnected.append((await receive())["type"] == "http.disconnect")

    async def _answer(self, send: Send, status: int, pieces: Sequence[bytes]) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@dataclass
class Answer:
    status: int
    headers: dict[bytes, bytes]
    pieces: list[bytes]

    @property
    def json(self) -> Any:
        return json.loads(b"".join(self.pieces))


def ask(
    server: Server,
    path: str,
    body: bytes | Sequence[bytes] | dict[str, Any] | None = None,
    *,
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
    root: str = "",
    gone: bool = False,
) -> Answer:
    """One request through the middleware; a sequence is a body that comes in pieces."""
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    pieces = [body or b""] if isinstance(body, bytes | None) else list(body)
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces) or gone}
        for at, piece in enumerate(pieces)
    ]
    sent: list[Message] = []
    lengths = [(b"content-length", str(len(pieces[0])).encode())] if len(pieces) == 1 else []

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root,
        "headers": [*lengths, *headers],
    }
    asyncio.run(DialMiddleware(server, DIAL)(scope, receive, send))
    start, *rest = sent
    return Answer(start["status"], dict(start["headers"]), [each["body"] for each in rest])


@pytest.mark.parametrize("path", list(middleware.APIS))
def test_each_api_gets_the_recipe_and_the_answer_streams_untouched(path: str) -> None:
    server = Server()
    answer = ask(server, path, {"model": "pair@0.55", "messages": []})
    assert answer.status == 200
    assert answer.pieces == [*PIECES, b""]
    assert answer.headers[b"x-mi-tui-lambda"] == b"0.55"
    sent = json.loads(server.bodies[0])
    assert Recipe.model_validate_json(sent["vllm_xargs"][RECIPE]) == DIAL.at(0.55)
    assert sent["model"] == "pair"
    assert server.disconnected == [True], "what comes after the body reaches the application"


def test_a_server_mounted_below_a_path_knows_its_own() -> None:
    server = Server()
    assert ask(server, f"/api{CHAT}", {"model": "pair@2"}, root="/api").status == 400
    assert ask(server, f"/api{CHAT}", {"model": "pair@1"}, root="/api").status == 200
    assert json.loads(server.bodies[0])["model"] == "pair"


def test_a_body_in_pieces_is_one() -> None:
    server = Server()
    whole = json.dumps({"model": "pair@low", "messages": []}).encode()
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    assert ask(server, CHAT, pieces).headers[b"x-mi-tui-lambda"] == b"0.25"
    assert json.loads(server.bodies[0])["model"] == "pair"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": "pair@7"}', "λ behind @ must be a number from 0 to 1"),
        (b'{"vllm_xargs": {"mi_tui_lambda": NaN}}', "NaN is no number of JSON"),
        (b'{"vllm_xargs": {"mi_tui_lambda": 1e999}}', "must be a number from 0 to 1"),
        (b'{"temperature": 1e999}', "a number too large"),
        (b'{"vllm_xargs": {"mi_tui_lambda": "1e999"}}', "must be a number from 0 to 1"),
        (b'{"vllm_xargs": {"mi_tui_\\u0072ecipe": "{}"}}', "unknown key"),
        (b'{"vllm_xargs": {"mi_tui_lambda": 0}, "vllm_xargs": {"mi_tui_x": 0}}', "unknown key"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"\xff\xfe\xfa", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"model=pair", "not valid JSON"),
    ],
)
def test_a_refusal_is_one_line_in_openais_shape_and_vllm_never_sees_the_body(
    body: bytes, says: str
) -> None:
    server = Server()
    answer = ask(server, CHAT, body)
    assert answer.status == 400
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == 400
    assert says in error["message"]
    assert "\n" not in error["message"]
    assert server.bodies == []


def test_a_body_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "MOST_BYTES", 1 << 20)
    server = Server()
    assert ask(server, CHAT, b" " * ((1 << 20) + 1)).status == 413
    endless = [b" " * 1000] * 5000
    answer = ask(server, CHAT, endless)
    assert (answer.status, answer.json["error"]["code"]) == (413, 413)
    assert server.bodies == []


def test_the_key_is_looked_at_before_the_body() -> None:
    server = Server(key="secret")
    answer = ask(server, CHAT, {"model": "pair@7"})
    assert (answer.status, answer.pieces[0]) == (401, b"unauthorised")
    allowed = [(b"authorization", b"Bearer secret")]
    assert ask(server, CHAT, {"model": "pair@7"}, headers=allowed).status == 400
    assert ask(server, CHAT, {"model": "pair@1"}, headers=allowed).status == 200


def test_a_client_that_goes_is_no_error_of_ours() -> None:
    with pytest.raises(ConnectionError):
        ask(Server(), CHAT, [b'{"model":'], gone=True)


def test_the_dial_is_told_to_those_who_may_see_the_models() -> None:
    server = Server(key="secret")
    assert ask(server, "/v1/dial", method="GET").status == 401
    answer = ask(server, "/v1/dial", method="GET", headers=[(b"authorization", b"Bearer secret")])
    assert server.paths == ["/v1/models", "/v1/models"]
    assert answer.status == 200
    assert answer.headers[b"content-type"] == b"application/json"
    dial = answer.json
    assert (dial["model"], dial["lambda"]) == ("pair", 0.5)
    low = next(each for each in dial["efforts"] if each["effort"] == "low")
    assert (low["model"], low["lambda"]) == ("pair@low", 0.25)
    assert low["measured"]["score"] == pytest.approx(0.4)
    assert [point["lambda"] for point in dial["curve"]] == [0.0, 0.5, 1.0]


def test_what_has_no_body_passes_as_it_is() -> None:
    server = Server()
    answer = ask(server, "/v1/models", method="GET")
    assert (answer.pieces, server.paths) == ([*PIECES, b""], ["/v1/models"])
    assert b"x-mi-tui-lambda" not in answer.headers


def test_other_addresses_take_no_key_of_ours() -> None:
    server = Server()
    other = "/inference/v1/generate"
    smuggled = {"token_ids": [1], "sampling_params": {"extra_args": {RECIPE: "{}"}}}
    assert ask(server, other, smuggled).status == 400
    assert ask(server, other, {"model": "pair@low"}).status == 400
    for effort in (
        {"reasoning_effort": "low"},
        {"reasoning": {"effort": "low"}},
        {"output_config": {"effort": "low"}},
        {"thinking": {"type": "disabled"}},
    ):
        refused = ask(server, "/v1/chat/completions/batch", effort)
        assert "takes no effort" in refused.json["error"]["message"]
    assert ask(server, "/v1/audio/transcriptions", b"--b\r\nContent-Disposition").status == 400
    assert server.bodies == []
    assert ask(server, other, {"token_ids": [1]}).status == 200
    assert ask(server, "/tokenize", {"model": "pair@low", "prompt": "a"}).status == 200
    assert ask(server, "/v1/responses/resp_1/cancel", b"").status == 200
    assert list(map(json.loads, server.bodies[:2])) == [
        {"token_ids": [1]},
        {"model": "pair", "prompt": "a"},
    ]


def test_sagemakers_header_names_the_model_and_so_its_lambda() -> None:
    header = [(b"X-Amzn-SageMaker-Adapter-Identifier", b"pair@low")]
    server = Server()
    answer = ask(server, "/invocations", {"model": "pair@1", "prompt": "a"}, headers=header)
    assert answer.headers[b"x-mi-tui-lambda"] == b"0.25"
    assert json.loads(server.bodies[0])["model"] == "pair"
    assert header[0][0].lower() not in server.headers[0], "vLLM would put it into the body again"
    answer = ask(server, CHAT, {"model": "pair@1", "messages": []}, headers=header)
    assert answer.headers[b"x-mi-tui-lambda"] == b"1", "elsewhere it means nothing"


def test_anthropics_clients_get_their_shape() -> None:
    answer = ask(Server(), "/v1/messages", {"model": "pair@7"})
    assert (answer.status, answer.json["type"]) == (400, "error")
    assert answer.json["error"]["type"] == "BadRequestError"


@given(st.binary(max_size=200), st.sampled_from([CHAT, "/v1/responses", "/v1/batches", "/"]))
def test_any_bytes_are_answered(body: bytes, path: str) -> None:
    assert ask(Server(), path, body).status in (200, 400)


async def test_what_is_no_request_passes_and_a_websocket_is_closed() -> None:
    seen: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    served = DialMiddleware(app, DIAL)
    await served({"type": "lifespan"}, nothing, send)
    await served({"type": "websocket", "path": "/v1/realtime"}, nothing, send)
    assert seen == ["lifespan"]
    assert [(one["type"], one["code"]) for one in sent] == [("websocket.close", 1008)]


def test_without_a_dial_in_the_environment_the_server_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(MiTuiError, match="start the server with mi-tui serve"):
        DialMiddleware(Server())
    monkeypatch.setenv(VARIABLE, DIAL.canonical_json())
    DialMiddleware(Server())
