"""The middleware in vLLM's API servers: a request names a λ, and vLLM gets its recipe.

Given to vLLM as ``--middleware``. A body is read when vLLM asks for it, so after vLLM has looked at
the API key; responses pass as they are, streams too, with the λ in a header of their own.
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mi_tui.errors import MiTuiError
from mi_tui.plan.recipe import Recipe
from mi_tui.serve.dial import PATH, VARIABLE, Dial
from mi_tui.serve.named_lambda import (
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    RefusedError,
    shown,
    with_lambda,
    without_lambda,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""The parts of ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

HEADER = "x-mi-tui-lambda"
"""The response's header that says the λ of the answer; several are parted by ``/``."""

APIS = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/invocations": CHAT,
}
"""Where a request may name a λ. ``/invocations`` takes chats and completions."""

_NAMES_MODEL = b"x-amzn-sagemaker-adapter-identifier"
"""SageMaker's header, by which vLLM would replace the model in a body of ``/invocations``."""

GENERATES_NOTHING = frozenset({"/tokenize", "/detokenize", "/v1/messages/count_tokens"})
"""Where a λ in the model's name changes nothing."""

MOST_BYTES = 32 << 20
"""The largest body of a request."""

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class DialMiddleware:
    """Gives each request its λ; the dial comes from the environment.

    Args:
        app: vLLM's application.
        dial: what the server offers; by default what the environment says.

    Raises:
        MiTuiError: the environment holds no dial.
    """

    def __init__(self, app: App, dial: Dial | None = None) -> None:
        self._app = app
        self._dial = dial or _from_environment()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":  # vLLM's /v1/realtime, whose messages could name a λ
            await send({"type": "websocket.close", "code": 1008, "reason": "λ is not read here"})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "GET" and _path(scope) == PATH:
            await self._tell_dial(scope, receive, send)
        elif scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
        else:
            await _Exchange(self._dial, scope, receive, send).pass_through(self._app)

    async def _tell_dial(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the dial whoever vLLM lets see its models, and else as vLLM does."""
        is_allowed = False

        async def send_instead(message: Message) -> None:
            nonlocal is_allowed
            if message["type"] == "http.response.start":
                is_allowed = message["status"] == 200
            if not is_allowed:
                await send(message)

        models = {**scope, "path": "/v1/models", "raw_path": b"/v1/models", "query_string": b""}
        await self._app(models, receive, send_instead)
        if is_allowed:
            await _send_json(send, 200, self._dial.as_json())


class _Exchange:
    """One request with a body, and its response."""

    def __init__(self, dial: Dial, scope: Scope, receive: Receive, send: Send) -> None:
        self._dial = dial
        self._path = _path(scope)
        # The body that vLLM gets has another length, and its model is the one of the header.
        left_out = (b"content-length", _NAMES_MODEL)
        headers = [each for each in scope["headers"] if each[0].lower() not in left_out]
        self._scope = {**scope, "headers": headers}
        self._adapter = _header(scope, _NAMES_MODEL) if self._path == "/invocations" else ""
        self._announced = _announced_bytes(scope)
        self._outer_receive = receive
        self._outer_send = send
        self._is_read = False
        self._recipe: Recipe | None = None
        self._refusal: RefusedError | None = None
        self._has_begun = False

    async def pass_through(self, app: App) -> None:
        """Let the application answer, or refuse the request in its place."""
        try:
            await app(self._scope, self._receive, self._send)
        except Exception:
            if self._refusal is None:
                raise
        if self._refusal is not None and not self._has_begun:
            await self._refuse(self._refusal)

    async def _receive(self) -> Message:
        if self._is_read:
            return await self._outer_receive()
        self._is_read = True
        try:
            body = await self._whole_body()
            if body is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": self._for_vllm(body), "more_body": False}
        except RefusedError as refusal:
            self._refusal = refusal
            # What the application then says is replaced by the refusal.
            return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._refusal is not None:
            return
        if message["type"] == "http.response.start":
            self._has_begun = True
            if self._recipe is not None:
                own = (HEADER.encode(), shown(self._recipe).encode())
                message = {**message, "headers": [*message.get("headers", ()), own]}
        await self._outer_send(message)

    async def _whole_body(self) -> bytes | None:
        """All of the body; ``None`` where the client has gone.

        Raises:
            RefusedError: it is too large.
        """
        if self._announced > MOST_BYTES:
            raise _too_large()
        pieces, length = [], 0
        while True:
            message = await self._outer_receive()
            if message["type"] != "http.request":
                return None
            pieces.append(message.get("body", b""))
            length += len(pieces[-1])
            if length > MOST_BYTES:
                raise _too_large()
            if not message.get("more_body", False):
                return b"".join(pieces)

    def _for_vllm(self, body: bytes) -> bytes:
        api = APIS.get(self._path)
        if api is None and not body:
            return body
        parsed = _parsed(body)
        if api is None:
            generates = self._path not in GENERATES_NOTHING
            return _written(without_lambda(parsed, self._dial, generates=generates))
        if not isinstance(parsed, dict):
            raise RefusedError("the body must be a JSON object")
        if self._adapter:
            parsed["model"] = self._adapter
        self._recipe, parsed = with_lambda(parsed, self._dial, api)
        return _written(parsed)

    async def _refuse(self, refusal: RefusedError) -> None:
        said: dict[str, Any] = {
            "error": {
                "message": refusal.message,
                "type": "NotFoundError" if refusal.status == 404 else "BadRequestError",
                "param": refusal.field,
                "code": refusal.status,
            }
        }
        if APIS.get(self._path) is MESSAGES:
            said = {"type": "error", **said}  # Anthropic's clients look for it
        await _send_json(self._outer_send, refusal.status, said)


def _from_environment() -> Dial:
    text = os.environ.get(VARIABLE)
    if not text:
        raise MiTuiError(f"{VARIABLE} is not set: start the server with mi-tui serve")
    return Dial.from_json(text)


def _path(scope: Scope) -> str:
    """The path below the one that the server is mounted at, as vLLM's routes see it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path


def _announced_bytes(scope: Scope) -> int:
    length = _header(scope, b"content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _header(scope: Scope, wanted: bytes) -> str:
    """The value of a header; empty where there is none."""
    return next((v.decode("latin-1") for k, v in scope["headers"] if k.lower() == wanted), "")


def _too_large() -> RefusedError:
    return RefusedError(f"the body is larger than {MOST_BYTES >> 20} MiB", 413)


def _parsed(body: bytes) -> Any:
    """JSON as vLLM would read it, of which only what JSON has is let through.

    Raises:
        RefusedError: it is not, or nested too deep.
    """
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise RefusedError("the body is nested too deep") from None
    except ValueError as error:
        raise RefusedError(f"the body is not valid JSON: {str(error)[:80]}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _written(value: Any) -> bytes:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError:
        raise RefusedError("the body holds a number too large for a float") from None
    except RecursionError:
        raise RefusedError("the body is nested too deep") from None


async def _send_json(send: Send, status: int, value: Any) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
