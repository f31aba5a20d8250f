"""Ask an OpenAI-compatible server, and time its answers as the client sees them.

Made for servers that run an exported checkpoint (vLLM, SGLang, llama.cpp, ``transformers serve``):
``POST /chat/completions`` with ``stream`` and ``stream_options.include_usage``, as described at
https://platform.openai.com/docs/api-reference/chat. Knows nothing of torch.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2

from mi_tui.engines.protocol import EngineError, FinishReason
from mi_tui.plan.recipe import Decoding

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same question may be asked again."""

_UNKNOWN_FIELD = frozenset({400, 422})
_PAUSES = (0.5, 2.0, 8.0)
_CONNECT_SECONDS = 10.0


class EndpointError(EngineError):
    """A server that cannot be reached, or does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a checkpoint is served.

    ``url`` is the server's address, with or without ``/v1``; ``key`` goes into the requests'
    Authorization header and nowhere else. ``timeout`` is how many seconds the server may be
    silent.
    """

    url: str
    key: str = field(default="", repr=False)
    timeout: float = 600.0

    @property
    def base(self) -> str:
        """The address that the API's paths are appended to, without user name and password.

        Raises:
            EndpointError: this is no http or https address.
        """
        try:
            url = httpx2.URL(self.url)
        except (httpx2.InvalidURL, TypeError) as error:
            raise EndpointError(f"{self.url!r} is no address: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise EndpointError(f"{self.url!r} is no address: write http://HOST:PORT/v1")
        path = url.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
        return str(url.copy_with(username=None, password=None, path=path, query=None))


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent: chat messages, how to decode, the seed, and the cap in tokens."""

    messages: tuple[dict[str, str], ...]
    decoding: Decoding
    seed: int
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    ``text`` has the thinking between ``<think>`` and ``</think>``, also where the server sends
    it apart. ``tokens`` is the server's own count (``usage.completion_tokens``). Times in
    seconds from sending the request: to the first token, and to the end.
    """

    text: str
    tokens: int
    finish_reason: FinishReason
    first_token: float
    seconds: float

    @property
    def per_token(self) -> float | None:
        """Seconds per output token after the first; ``None`` of a single one."""
        return (self.seconds - self.first_token) / (self.tokens - 1) if self.tokens > 1 else None


class EndpointClient:
    """A connection to a server; an asynchronous context manager.

    A request that fails because the connection was lost or the server is busy is repeated after
    0.5, 2 and 8 seconds and timed anew. Leaving the context or cancelling a task closes its
    connection, which stops the server's generation.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._base = endpoint.base
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(endpoint.timeout, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=None),
        )
        self._timeout = endpoint.timeout
        self._extensions = True

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def models(self) -> list[str]:
        """The names of the models that are served.

        Raises:
            EndpointError: the server cannot be reached, or lists none.
        """
        try:
            response = await self._client.get(f"{self._base}/models")
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        return self._names(response)

    async def ask(self, model: str, question: Question) -> Answer:
        """One answer, streamed.

        Raises:
            EndpointError: the server cannot be reached, refuses the request, or its answer has
                no token count.
        """
        pauses = iter(_PAUSES)
        while True:
            extended = self._extensions
            try:
                return await self._ask_once(model, question)
            except _RefusedError as refused:
                if extended and refused.status in _UNKNOWN_FIELD:
                    self._extensions = False  # OpenAI's own API knows no top_k
                    continue
                failure = EndpointError(f"{self._base} answered {refused}")
                if refused.status not in _BUSY:
                    raise failure from refused
            except httpx2.TransportError as error:
                failure = self._unreachable(error)
                if isinstance(error, httpx2.ReadTimeout):
                    raise failure from error
            pause = next(pauses, None)
            if pause is None:
                raise failure
            await asyncio.sleep(pause)

    @property
    def remark(self) -> str:
        """What of the decoding the server did not accept; empty when it took all of it."""
        if self._extensions:
            return ""
        return "the server does not accept top_k: the one it is configured with applies"

    async def _ask_once(self, model: str, question: Question) -> Answer:
        started = time.perf_counter()
        first: float | None = None
        thinking, content, finish, tokens = [], [], "stop", None
        async for event in self._events(self._body(model, question)):
            if event.get("usage"):
                tokens = event["usage"].get("completion_tokens")
            for choice in event.get("choices") or ():
                finish = choice.get("finish_reason") or finish
                delta = choice.get("delta") or {}
                thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
                said = delta.get("content") or ""
                thinking.append(thought)
                content.append(said)
                if first is None and (thought or said):
                    first = time.perf_counter()
        ended = time.perf_counter()
        if not isinstance(tokens, int):
            raise EndpointError(
                f"{self._base} sends no usage.completion_tokens: lengths cannot be compared"
            )
        return Answer(
            text=_joined("".join(thinking), "".join(content)),
            tokens=tokens,
            finish_reason="length" if finish == "length" else "stop",
            first_token=(first or ended) - started,
            seconds=ended - started,
        )

    def _body(self, model: str, question: Question) -> dict[str, Any]:
        decoding = question.decoding
        body: dict[str, Any] = {
            "model": model,
            "messages": list(question.messages),
            "max_tokens": question.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": question.seed % (1 << 31),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._extensions:
            # Said even where there is no limit: servers else take the checkpoint's own setting.
            body["top_k"] = decoding.top_k or -1
        return body

    async def _events(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The stream's events as JSON objects (server-sent events)."""
        address = f"{self._base}/chat/completions"
        async with self._client.stream("POST", address, json=body) as response:
            if response.status_code != 200:
                raise _RefusedError(response.status_code, (await response.aread()).decode())
            async for line in response.aiter_lines():
                data = line.removeprefix("data:").strip()
                if not line.startswith("data:") or data == "[DONE]":
                    continue
                event = _json_object(data)
                if event.get("error"):
                    raise EndpointError(f"{self._base} broke off: {_message(event)}")
                yield event

    def _names(self, response: httpx2.Response) -> list[str]:
        if response.status_code != 200:
            refused = _RefusedError(response.status_code, response.text)
            raise EndpointError(f"{self._base} answered {refused}")
        served = _json_object(response.text).get("data")
        names = [str(one.get("id")) for one in served or () if isinstance(one, dict)]
        if not names:
            raise EndpointError(f"{self._base}/models lists no model: is this an OpenAI API?")
        return names

    def _unreachable(self, error: httpx2.TransportError) -> EndpointError:
        if isinstance(error, httpx2.ReadTimeout):
            return EndpointError(
                f"{self._base} was silent for {self._timeout:g} s: raise --timeout or ask fewer "
                "at once"
            )
        reason = str(error) or type(error).__name__
        return EndpointError(f"{self._base} cannot be reached ({reason}): is the server running?")


class _RefusedError(Exception):
    """A status other than 200."""

    def __init__(self, status: int, body: str) -> None:
        self.status = status
        super().__init__(f"{status}: {_message(_json_object(body)) or body[:300] or 'no reason'}")


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(body: dict[str, Any]) -> str:
    """The reason in an error's body, wherever the server puts it."""
    error = body.get("error", body)
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or ""
    return str(error)[:300]


def _joined(thinking: str, content: str) -> str:
    """One text, as the model wrote it before the server took the thinking out."""
    if not thinking:
        return content
    return f"<think>{thinking}</think>{content}" if content else f"<think>{thinking}"


def only_model(names: Sequence[str]) -> str:
    """The one model that is served.

    Raises:
        EndpointError: there are several to choose from.
    """
    if len(names) > 1:
        served = ", ".join(names[:6])
        raise EndpointError(f"the server has several models ({served}): name one with --model")
    return names[0]
